//! The claim `act`: who acts for the subject (RFC 8693, section 4.1).

use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokenbind_proto::v1::Actor;

/// An actor, and who acted before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Act(pub Actor);

impl Act {
    /// How many actors there may be, one behind the other.
    pub const MAX_DEPTH: usize = 4;

    /// How many there are.
    pub fn depth(actor: &Actor) -> usize {
        let mut depth = 1;
        let mut next = actor.actor.as_deref();
        while let Some(actor) = next {
            depth += 1;
            next = actor.actor.as_deref();
        }
        depth
    }
}

impl From<Act> for Actor {
    fn from(act: Act) -> Self {
        act.0
    }
}

impl Serialize for Act {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("sub", &self.0.subject)?;
        if !self.0.issuer.is_empty() {
            map.serialize_entry("iss", &self.0.issuer)?;
        }
        if let Some(actor) = &self.0.actor {
            map.serialize_entry("act", &Self(Actor::clone(actor)))?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    sub: String,
    #[serde(default)]
    iss: String,
    #[serde(default, deserialize_with = "crate::present")]
    act: Option<Box<Members>>,
}

impl From<Members> for Actor {
    fn from(members: Members) -> Self {
        Self {
            subject: members.sub,
            issuer: members.iss,
            actor: members.act.map(|act| Box::new(Self::from(*act))),
        }
    }
}

impl<'de> Deserialize<'de> for Act {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let actor = Actor::from(Members::deserialize(deserializer)?);
        if Self::depth(&actor) > Self::MAX_DEPTH {
            return Err(D::Error::custom("too many actors"));
        }
        Ok(Self(actor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let json = r#"{"sub":"b","iss":"https://i","act":{"sub":"a"}}"#;
        let act: Act = serde_json::from_str(json).unwrap();
        assert_eq!(act.0.actor.as_ref().unwrap().subject, "a");
        assert_eq!(serde_json::to_string(&act).unwrap(), json);
    }

    #[test]
    fn anything_else_is_refused() {
        let deep = (0..Act::MAX_DEPTH).fold(r#"{"sub":"a"}"#.to_owned(), |inner, _| {
            format!(r#"{{"sub":"a","act":{inner}}}"#)
        });
        for bad in [
            "null",
            "{}",
            r#"{"sub":1}"#,
            r#"{"sub":"a","act":null}"#,
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"sub":"a","x":1}"#,
            &deep,
        ] {
            assert!(serde_json::from_str::<Act>(bad).is_err(), "{bad}");
        }
    }
}
