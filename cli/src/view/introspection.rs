//! RFC 7662.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokenbind_proto::v1::IntrospectTokenResponse;

use super::{act_object, json_object};
use crate::output::{facts, joined};

/// The members of a live token; of any other, that it is not active.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct IntrospectionView(Map<String, Value>);

impl From<IntrospectTokenResponse> for IntrospectionView {
    fn from(answer: IntrospectTokenResponse) -> Self {
        let mut members = Map::new();
        members.insert("active".to_owned(), answer.active.into());
        if answer.active {
            let texts = [
                ("scope", answer.scope),
                ("client_id", answer.client_id),
                ("username", answer.username),
                ("token_type", answer.token_type),
                ("sub", answer.sub),
                ("iss", answer.iss),
                ("jti", answer.jti),
                ("binding_type", answer.binding_type),
                ("binding_ref", answer.binding_ref),
                ("aut", answer.aut),
            ];
            let present = texts.into_iter().filter(|(_, text)| !text.is_empty());
            members.extend(present.map(|(name, text)| (name.to_owned(), text.into())));
            let times = [("exp", answer.exp), ("iat", answer.iat), ("nbf", answer.nbf)];
            members.extend(times.map(|(name, time)| (name.to_owned(), time.into())));
            members.insert("aud".to_owned(), answer.aud.into());
            if let Some(confirmation) = answer.cnf {
                members.insert("cnf".to_owned(), json!({"x5t#S256": confirmation.x5t_s256}));
            }
            if let Some(act) = &answer.act {
                members.insert("act".to_owned(), act_object(act).into());
            }
            if let Some(claims) = answer.claims {
                members.insert("claims".to_owned(), json_object(claims).into());
            }
        }
        Self(members)
    }
}

impl IntrospectionView {
    /// Whether the token lives.
    pub(crate) fn is_active(&self) -> bool {
        self.0.get("active") == Some(&Value::Bool(true))
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        facts(self.0.iter().map(|(name, value)| (name.as_str(), member(value))))
    }
}

/// One member for people.
fn member(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => joined(&items.iter().map(member).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inactive_token_has_no_other_member() {
        let answer = IntrospectTokenResponse {
            active: false,
            client_id: "shop".to_owned(),
            ..IntrospectTokenResponse::default()
        };
        let view = IntrospectionView::from(answer);
        assert_eq!(serde_json::to_string(&view).unwrap(), r#"{"active":false}"#);
        assert!(!view.is_active());
    }
}
