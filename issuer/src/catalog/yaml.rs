//! YAML as a tree that remembers its lines. Reading straight into structs would stop at the first wrong type.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Budget, DuplicateKeyPolicy, MergeKeyPolicy, Options, Spanned};

use super::errors::CatalogErrors;

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: Option<u64>,
    pub(super) value: Value,
}

/// What YAML can say.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Number(u64),
    /// Negative, too large or with a fraction: nothing in the file takes that.
    OtherNumber,
    Text(String),
    List(Vec<Node>),
    /// With repeated keys.
    Map(Vec<(String, Node)>),
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Node, CatalogErrors> {
    serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options())
        .map(Node::from)
        .map_err(|error| {
            let mut errors = CatalogErrors::default();
            let line = error.location().map(|location| location.line());
            // Without the library's snippet of the file, which may show a secret in the wrong place.
            let problem = error.without_snippet().to_string();
            errors.push("", line, format!("cannot be read as YAML: {problem}"));
            errors
        })
}

fn options() -> Options {
    let mut budget = Budget::default();
    // 10,000 entries of some hundred values each.
    budget.max_nodes = 2_000_000;
    budget.max_events = 8_000_000;
    budget.max_depth = 16;
    budget.max_documents = 1;
    let mut options = Options::default();
    options.budget = Some(budget);
    // All repeated keys are told, with everything else that is wrong.
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.merge_keys = MergeKeyPolicy::AsOrdinary;
    options.strict_booleans = true;
    options.with_snippet = false;
    options
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        let line = spanned.referenced.line();
        Self {
            line: (line > 0).then_some(line),
            value: spanned.value,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(u64::try_from(number).map_or(Value::OtherNumber, Value::Number))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::OtherNumber)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::OtherNumber)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::OtherNumber)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_element::<Spanned<Value>>()? {
            members.push(member.into());
        }
        Ok(Value::List(members))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = access.next_entry::<String, Spanned<Value>>()? {
            entries.push((key, value.into()));
        }
        Ok(Value::Map(entries))
    }
}
