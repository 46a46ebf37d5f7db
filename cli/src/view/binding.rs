//! Bindings.

use serde::Serialize;
use tokenbind_proto::v1::{Binding, LiveBinding};

use super::{timestamp, to_the_second};
use crate::output::{joined, table};
use crate::words;

/// What a token is bound to.
#[derive(Debug, Serialize)]
pub(crate) struct BindingView {
    r#type: String,
    r#ref: String,
}

/// A slot with its live token.
#[derive(Debug, Serialize)]
pub(crate) struct LiveBindingView {
    client_id: String,
    scopes: Vec<String>,
    audiences: Vec<String>,
    token_format: String,
    binding: BindingView,
    issued_at: String,
    expires_at: String,
    refreshable: bool,
}

impl From<Option<Binding>> for BindingView {
    fn from(binding: Option<Binding>) -> Self {
        let binding = binding.unwrap_or_default();
        Self {
            r#type: words::binding_type(binding.r#type),
            r#ref: binding.r#ref,
        }
    }
}

impl BindingView {
    /// The type, and the reference where there is one.
    pub(crate) fn text(&self) -> String {
        match self.r#ref.as_str() {
            "" => self.r#type.clone(),
            reference => format!("{} {reference}", self.r#type),
        }
    }
}

impl From<LiveBinding> for LiveBindingView {
    fn from(binding: LiveBinding) -> Self {
        Self {
            issued_at: timestamp(binding.issued_at.as_ref()),
            expires_at: timestamp(binding.expires_at.as_ref()),
            client_id: binding.client_id,
            scopes: binding.scopes,
            audiences: binding.audiences,
            token_format: if binding.refreshable {
                String::new()
            } else {
                words::token_format(binding.token_format)
            },
            binding: binding.binding.into(),
            refreshable: binding.refreshable,
        }
    }
}

impl LiveBindingView {
    /// Several for people.
    pub(crate) fn table(bindings: &[Self]) -> String {
        let row = |live: &Self| {
            [
                live.client_id.clone(),
                if live.refreshable {
                    "refresh".to_owned()
                } else {
                    live.token_format.clone()
                },
                live.binding.text(),
                joined(&live.scopes),
                joined(&live.audiences),
                to_the_second(&live.issued_at),
                to_the_second(&live.expires_at),
            ]
        };
        table(
            [
                "CLIENT ID",
                "FORMAT",
                "BINDING",
                "SCOPES",
                "AUDIENCES",
                "ISSUED",
                "ENDS",
            ],
            bindings.iter().map(row),
        )
    }
}
