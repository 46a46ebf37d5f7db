//! The claims of our JWTs (RFC 7519, section 4; RFC 9068, section 2.2).

use std::collections::BTreeSet;

use prost_types::Struct;
use serde::Deserialize;
use tokenbind_index::{BindingRef, Subject};
use tokenbind_jose::{Act, Audience, Members, NumericDate, present};
use tokenbind_proto::index::v1::TokenRecord;

/// The issuer's own claims that no field below reads; what remains beside them is what the application maps.
const OTHER_STANDARD_CLAIMS: [&str; 4] = ["azp", "aut", "binding_type", "cnf"];

/// What a verified JWT says.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    sub: String,
    aud: Audience,
    pub(super) exp: NumericDate,
    pub(super) iat: NumericDate,
    #[serde(default, deserialize_with = "present")]
    pub(super) nbf: Option<NumericDate>,
    pub(super) jti: String,
    /// Its absence is a verdict of its own (V4), not a malformed token.
    #[serde(default, deserialize_with = "present")]
    client_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    scope: Option<String>,
    #[serde(default, deserialize_with = "present")]
    binding_ref: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) act: Option<Act>,
    #[serde(flatten)]
    others: Members,
}

impl Claims {
    /// Reads a payload.
    pub(super) fn from_slice(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Whom the token was issued to; empty where it does not say.
    pub(super) fn client_id(&self) -> &str {
        self.client_id.as_deref().unwrap_or_default()
    }

    /// Whether the record says what was signed, where it says it again. A token's facts are what was signed: whoever could
    /// write into the index could otherwise widen a token that they hold.
    pub(super) fn agree_with(&self, record: &TokenRecord) -> bool {
        let bound = BindingRef::from_record(&record.binding_ref).map(|reference| reference.encode());
        self.client_id() == record.client_id && self.binding_ref == bound && self.scopes() == sorted(&record.scopes)
    }

    /// What is granted, sorted.
    pub(super) fn scopes(&self) -> Vec<String> {
        let scopes = self.scope.as_deref().unwrap_or_default().split(' ');
        let scopes: Vec<_> = scopes.filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        sorted(&scopes)
    }

    /// Who may accept the token, sorted.
    pub(super) fn audiences(&self) -> Vec<String> {
        sorted(self.aud.as_slice())
    }

    /// Who the token speaks for.
    pub(super) fn subject(&self) -> Subject {
        Subject::from_claim(&self.sub)
    }

    /// What the application maps beside the standard claims, if anything.
    pub(super) fn into_mapped(self) -> Option<Box<Struct>> {
        let mut mapped = self.others.0;
        for name in OTHER_STANDARD_CLAIMS {
            mapped.fields.remove(name);
        }
        (!mapped.fields.is_empty()).then(|| Box::new(mapped))
    }
}

/// The same set of texts, each once.
fn sorted(texts: &[String]) -> Vec<String> {
    texts.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claims() -> Value {
        json!({
            "iss": "https://issuer", "sub": "user:ada", "aud": ["b", "a"], "exp": 20, "iat": 10, "nbf": 10, "jti": "j",
            "client_id": "shop", "azp": "shop", "scope": "w r", "aut": "APPLICATION_USER", "binding_type": "none",
            "binding_ref": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "cnf": {}, "tier": "gold",
        })
    }

    fn read(claims: &Value) -> Option<Claims> {
        Claims::from_slice(claims.to_string().as_bytes())
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    #[test]
    fn a_time_is_a_whole_number_of_seconds_c37_a1() {
        for name in ["exp", "iat", "nbf"] {
            for value in [
                json!("20"),
                json!(20.0),
                json!(20.5),
                json!(-1),
                json!(null),
                json!([20]),
                json!({}),
                json!(true),
                json!(1e300),
                json!(NumericDate::MAX + 1),
                json!(u64::MAX),
            ] {
                assert!(read(&with(name, value.clone())).is_none(), "{name}: {value}");
            }
            assert!(read(&with(name, json!(NumericDate::MAX))).is_some(), "{name}");
        }
        let text = claims().to_string();
        for huge in ["1e400", "18446744073709551616", "2e1", "0x14", "020"] {
            let changed = text.replace(r#""exp":20"#, &format!(r#""exp":{huge}"#));
            assert_ne!(changed, text);
            assert!(Claims::from_slice(changed.as_bytes()).is_none(), "{huge}");
        }
    }

    #[test]
    fn a_required_claim_must_be_there_c41() {
        for name in ["iss", "sub", "aud", "exp", "iat", "jti"] {
            let mut without = claims();
            without.as_object_mut().unwrap().remove(name);
            assert!(read(&without).is_none(), "{name}");
        }
        for name in ["nbf", "client_id", "scope"] {
            let mut without = claims();
            without.as_object_mut().unwrap().remove(name);
            assert!(read(&without).is_some(), "{name}");
            assert!(read(&with(name, json!(null))).is_none(), "{name}: null");
        }
    }

    #[test]
    fn a_text_is_a_text() {
        for name in ["iss", "sub", "jti", "client_id", "scope"] {
            for value in [json!(1), json!(null), json!(["shop"]), json!({})] {
                assert!(read(&with(name, value.clone())).is_none(), "{name}: {value}");
            }
        }
    }

    #[test]
    fn aud_is_a_text_or_several_c38() {
        assert!(read(&with("aud", json!("a"))).is_some());
        for value in [json!(1), json!(null), json!([1]), json!([["a"]]), json!({"a": "b"})] {
            assert!(read(&with("aud", value.clone())).is_none(), "{value}");
        }
    }

    #[test]
    fn a_claim_that_stands_twice_is_refused_c36() {
        let text = claims().to_string();
        for again in [
            r#""exp":20"#,
            r#""client_id":"shop""#,
            r#""tier":"gold""#,
            r#""azp":"shop""#,
            r#""\u0065xp":20"#,
        ] {
            let twice = text.replacen('{', &format!("{{{again},"), 1);
            assert!(Claims::from_slice(twice.as_bytes()).is_none(), "{again}");
        }
    }

    #[test]
    fn the_record_must_grant_what_was_signed() {
        let claims = read(&claims()).unwrap();
        let record = TokenRecord {
            client_id: "shop".to_owned(),
            scopes: vec!["r".to_owned(), "w".to_owned()],
            binding_ref: vec![0; 32],
            ..TokenRecord::default()
        };
        assert!(claims.agree_with(&record));
        let wider_scopes = [record.scopes.as_slice(), &["admin".to_owned()]].concat();
        for other in [
            TokenRecord {
                client_id: "other".to_owned(),
                ..record.clone()
            },
            TokenRecord {
                binding_ref: vec![],
                ..record.clone()
            },
            TokenRecord {
                scopes: wider_scopes,
                ..record.clone()
            },
            TokenRecord {
                scopes: vec!["r".to_owned()],
                ..record.clone()
            },
        ] {
            assert!(!claims.agree_with(&other), "{other:?}");
        }
    }

    #[test]
    fn only_mapped_claims_remain() {
        let mapped = read(&claims()).unwrap().into_mapped().unwrap();
        assert_eq!(mapped.fields.into_keys().collect::<Vec<_>>(), ["tier"]);
    }
}
