//! What is told of a token, as JSON (RFC 7662, section 2.2).

use prost_types::value::Kind;
use serde_json::{Map, Number, Value, json};
use tokenbind_jose::Act;
use tokenbind_proto::v1::IntrospectTokenResponse;

use crate::facts::TokenFacts;
use crate::transport::grpc::introspected;

/// The members of the answer; `None` is a token of which nothing is told.
pub(super) fn of(token: Option<&TokenFacts>) -> Map<String, Value> {
    members(introspected(token))
}

fn members(told: IntrospectTokenResponse) -> Map<String, Value> {
    if !told.active {
        return Map::from_iter([("active".to_owned(), Value::Bool(false))]);
    }
    // Mapped claims first: what they may not be called, the members below are.
    let mut members: Map<_, _> = told.claims.map_or_else(Map::new, |claims| object(claims.fields));
    let standard = json!({
        "active": true,
        "scope": told.scope,
        "client_id": told.client_id,
        "username": told.username,
        "token_type": told.token_type,
        "exp": told.exp,
        "iat": told.iat,
        "nbf": told.nbf,
        "sub": told.sub,
        "aud": told.aud,
        "iss": told.iss,
        "jti": told.jti,
        "aut": told.aut,
        "binding_type": told.binding_type,
        "binding_ref": told.binding_ref,
    });
    let standard = standard.as_object().cloned().unwrap_or_default();
    members.extend(standard.into_iter().filter(|(_, value)| value.as_str() != Some("")));
    if let Some(cnf) = told.cnf {
        members.insert("cnf".to_owned(), json!({"x5t#S256": cnf.x5t_s256}));
    }
    if let Some(act) = told.act {
        members.insert("act".to_owned(), json!(Act(act)));
    }
    members
}

fn object(fields: impl IntoIterator<Item = (String, prost_types::Value)>) -> Map<String, Value> {
    fields.into_iter().map(|(name, field)| (name, value(field))).collect()
}

fn value(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(truth)) => Value::Bool(truth),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::NumberValue(number)) => number_of(number),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(self::value).collect(),
        Some(Kind::StructValue(inner)) => Value::Object(object(inner.fields)),
    }
}

/// protobuf knows only floating point; what was whole is written whole.
fn number_of(number: f64) -> Value {
    let text = number.to_string();
    text.parse::<Number>().map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost_types::{ListValue, Struct};
    use tokenbind_proto::v1::{Actor, Confirmation};

    use super::*;

    fn mapped(kind: Kind) -> prost_types::Value {
        prost_types::Value { kind: Some(kind) }
    }

    #[test]
    fn v12_an_inactive_token_has_no_other_member() {
        assert_eq!(Value::Object(of(None)), json!({"active": false}));
    }

    #[test]
    fn a_mapped_claim_never_replaces_a_member() {
        let fields = BTreeMap::from([
            ("active".to_owned(), mapped(Kind::BoolValue(false))),
            ("level".to_owned(), mapped(Kind::NumberValue(3.0))),
            ("share".to_owned(), mapped(Kind::NumberValue(0.5))),
            (
                "groups".to_owned(),
                mapped(Kind::ListValue(ListValue {
                    values: vec![mapped(Kind::StringValue("a".to_owned()))],
                })),
            ),
        ]);
        let told = IntrospectTokenResponse {
            active: true,
            sub: "user:alice".to_owned(),
            aud: vec!["api".to_owned()],
            exp: 7,
            cnf: Some(Confirmation {
                x5t_s256: "t".to_owned(),
            }),
            act: Some(Actor {
                subject: "shop".to_owned(),
                ..Actor::default()
            }),
            claims: Some(Struct { fields }),
            ..IntrospectTokenResponse::default()
        };
        let expected = json!({
            "active": true, "sub": "user:alice", "aud": ["api"], "exp": 7, "iat": 0, "nbf": 0,
            "level": 3, "share": 0.5, "groups": ["a"],
            "cnf": {"x5t#S256": "t"}, "act": {"sub": "shop"},
        });
        assert_eq!(Value::Object(members(told)), expected);
    }
}
