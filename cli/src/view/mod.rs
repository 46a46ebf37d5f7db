//! The contract's messages as this program shows them: each as JSON (names as in the `.proto`, words as in the catalog file)
//! and as text. A secret is shown only where showing it is what the command is for.

mod application;
mod binding;
mod introspection;
mod issued;
mod resource;
mod time;
mod user;
mod verdict;

pub(crate) use application::ApplicationView;
pub(crate) use binding::{BindingView, LiveBindingView};
pub(crate) use introspection::IntrospectionView;
pub(crate) use issued::IssuedView;
pub(crate) use resource::ResourceView;
pub(crate) use time::{span, timestamp, to_the_second};
pub(crate) use user::UserView;
pub(crate) use verdict::VerdictView;

/// A `google.protobuf.Struct` as JSON.
fn json_object(fields: prost_types::Struct) -> serde_json::Map<String, serde_json::Value> {
    fields
        .fields
        .into_iter()
        .map(|(name, value)| (name, json_value(value)))
        .collect()
}

fn json_value(value: prost_types::Value) -> serde_json::Value {
    use prost_types::value::Kind;
    match value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::NumberValue(number)) => number.into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::BoolValue(yes)) => yes.into(),
        Some(Kind::StructValue(fields)) => json_object(fields).into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json_value).collect(),
    }
}

/// `yes` or nothing: what is not set needs no row.
fn yes(set: bool) -> String {
    if set { "yes".to_owned() } else { String::new() }
}

/// The claim `act` (RFC 8693, section 4.1).
fn act_object(actor: &tokenbind_proto::v1::Actor) -> serde_json::Map<String, serde_json::Value> {
    let mut object = serde_json::Map::new();
    object.insert("sub".to_owned(), actor.subject.clone().into());
    object.insert("iss".to_owned(), actor.issuer.clone().into());
    if let Some(before) = &actor.actor {
        object.insert("act".to_owned(), act_object(before).into());
    }
    object
}
