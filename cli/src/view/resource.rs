//! Resources.

use serde::Serialize;
use tokenbind_proto::v1::Resource;

use super::yes;
use crate::output::{facts, joined, table};
use crate::words;

/// A resource.
#[derive(Debug, Serialize)]
pub(crate) struct ResourceView {
    resource_id: String,
    audiences: Vec<String>,
    accepted_client_ids: Vec<String>,
    accepted_scopes: Vec<String>,
    enforce_binding: bool,
    accepted_binding_types: Vec<String>,
    allow_stale_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller_certificate: Option<String>,
    source: String,
    /// Only where it was just generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_secret: Option<String>,
}

impl From<Resource> for ResourceView {
    fn from(resource: Resource) -> Self {
        let types = resource.accepted_binding_types.into_iter();
        Self {
            resource_id: resource.resource_id,
            audiences: resource.audiences,
            accepted_client_ids: resource.accepted_client_ids,
            accepted_scopes: resource.accepted_scopes,
            enforce_binding: resource.enforce_binding,
            accepted_binding_types: types.map(words::binding_type).collect(),
            allow_stale_seconds: resource.allow_stale_seconds,
            caller_certificate: resource.caller_certificate.and_then(words::certificate_name),
            source: words::source(resource.source),
            resource_secret: None,
        }
    }
}

impl ResourceView {
    /// Shows the secret too, which cannot be asked for again.
    pub(crate) fn with_secret(mut self, secret: String) -> Self {
        self.resource_secret = Some(secret);
        self
    }

    fn audience_text(&self) -> String {
        if self.audiences.is_empty() {
            return self.resource_id.clone();
        }
        joined(&self.audiences)
    }

    fn stale_text(&self) -> String {
        match self.allow_stale_seconds {
            0 => "denies".to_owned(),
            seconds => format!("accepts JWTs that are known for {seconds} s"),
        }
    }

    /// One resource for people.
    pub(crate) fn text(&self) -> String {
        let nobody = || "nobody".to_owned();
        let accepted = Some(joined(&self.accepted_client_ids)).filter(|ids| !ids.is_empty());
        facts([
            ("resource id", self.resource_id.clone()),
            ("audiences", self.audience_text()),
            ("accepts applications", accepted.unwrap_or_else(nobody)),
            ("accepts scopes", joined(&self.accepted_scopes)),
            ("accepts bindings", joined(&self.accepted_binding_types)),
            ("enforce binding", yes(self.enforce_binding)),
            ("without the index", self.stale_text()),
            (
                "calls with certificate",
                self.caller_certificate.clone().unwrap_or_default(),
            ),
            ("source", self.source.clone()),
            (
                "secret (shown this once)",
                self.resource_secret.clone().unwrap_or_default(),
            ),
        ])
    }

    /// Several for people.
    pub(crate) fn table(resources: &[Self]) -> String {
        let row = |resource: &Self| {
            [
                resource.resource_id.clone(),
                resource.audience_text(),
                joined(&resource.accepted_client_ids),
                joined(&resource.accepted_scopes),
                resource.source.clone(),
            ]
        };
        table(
            [
                "RESOURCE ID",
                "AUDIENCES",
                "ACCEPTS APPLICATIONS",
                "ACCEPTS SCOPES",
                "SOURCE",
            ],
            resources.iter().map(row),
        )
    }
}
