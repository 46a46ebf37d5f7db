//! JSON that means the same to every reader: a member name that stands twice is refused, at any depth (RFC 7519, section 4).

use std::fmt;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The members of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members(pub Struct);

impl Members {
    /// Reads the text of one object.
    pub fn from_slice(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Takes a member that must be a text.
    pub fn take_text(&mut self, name: &str) -> Option<String> {
        match self.0.fields.remove(name)?.kind? {
            Kind::StringValue(text) => Some(text),
            _ => None,
        }
    }

    /// Whether there is such a member.
    pub fn has(&self, name: &str) -> bool {
        self.0.fields.contains_key(name)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        members(map).map(Members)
    }
}

struct Member(Value);

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kind = deserializer.deserialize_any(KindVisitor)?;
        Ok(Self(Value { kind: Some(kind) }))
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::NullValue(0))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::BoolValue(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "a `Struct` has no other number")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::NumberValue(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a `Struct` has no other number")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::NumberValue(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::NumberValue(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::StringValue(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::StringValue(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut values = Vec::new();
        while let Some(Member(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Kind::ListValue(ListValue { values }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Kind, A::Error> {
        members(map).map(Kind::StructValue)
    }
}

fn members<'de, A: MapAccess<'de>>(mut map: A) -> Result<Struct, A::Error> {
    let mut object = Struct::default();
    while let Some((name, Member(value))) = map.next_entry::<String, Member>()? {
        if object.fields.insert(name, value).is_some() {
            return Err(A::Error::custom("a member name stands twice"));
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_refused_at_any_depth_c36() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"\u0062":2}]}"#,
        ] {
            assert_eq!(Members::from_slice(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn only_one_object_is_read() {
        for json in ["", "null", "[]", "1", r#"{"a":1} {}"#, r#"{"a":"#, "{\"a\":\"\u{0}\"}"] {
            assert_eq!(Members::from_slice(json.as_bytes()), None, "{json:?}");
        }
        assert_eq!(Members::from_slice(b"{\"a\":\"\xff\"}"), None);
    }

    #[test]
    fn every_kind_of_value_is_kept() {
        let json = br#"{"n":null,"b":true,"i":-1,"u":2,"f":0.5,"s":"x\ny","l":[1,[]],"o":{"p":"q"}}"#;
        let Members(object) = Members::from_slice(json).unwrap();
        let kinds: Vec<_> = object
            .fields
            .into_iter()
            .map(|(name, value)| (name, value.kind.unwrap()))
            .collect();
        let number = |value| Value {
            kind: Some(Kind::NumberValue(value)),
        };
        let list = |values| Kind::ListValue(ListValue { values });
        let text = |text: &str| Kind::StringValue(text.to_owned());
        let inner = Struct {
            fields: [("p".to_owned(), Value { kind: Some(text("q")) })].into(),
        };
        assert_eq!(
            kinds,
            [
                ("b".to_owned(), Kind::BoolValue(true)),
                ("f".to_owned(), Kind::NumberValue(0.5)),
                ("i".to_owned(), Kind::NumberValue(-1.0)),
                (
                    "l".to_owned(),
                    list(vec![
                        number(1.0),
                        Value {
                            kind: Some(list(vec![]))
                        }
                    ])
                ),
                ("n".to_owned(), Kind::NullValue(0)),
                ("o".to_owned(), Kind::StructValue(inner)),
                ("s".to_owned(), text("x\ny")),
                ("u".to_owned(), Kind::NumberValue(2.0)),
            ]
        );
    }
}
