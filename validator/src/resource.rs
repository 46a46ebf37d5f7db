//! What a resource accepts.

use std::sync::Arc;

use prost::Message as _;
use tokenbind_index::{Document, IndexError};
use tokenbind_proto::index::v1::{ResourceRecord, SecretDigest};
use tokenbind_proto::v1::certificate_name::Name;
use tokenbind_proto::v1::{self, BindingType};
use tokenbind_runtime::tls::SubjectName;

/// Whatever the record says, no revocation goes unnoticed for longer.
const MAX_ALLOW_STALE_SECONDS: u32 = 300;

/// An API that accepts tokens, as it was declared.
#[derive(Clone, Debug)]
pub struct Resource {
    id: String,
    /// At least one.
    audiences: Vec<String>,
    accepted_client_ids: Vec<String>,
    accepted_scopes: Vec<String>,
    enforce_binding: bool,
    /// As stored, so that a type of a later version still narrows what is accepted.
    accepted_binding_types: Vec<i32>,
    allow_stale_us: u64,
}

impl Resource {
    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether one of these audiences means this resource.
    pub fn is_among(&self, audiences: &[String]) -> bool {
        self.audiences.iter().any(|own| audiences.contains(own))
    }

    /// Whether it accepts tokens that were issued to the application. Nobody's, unless declared.
    pub fn accepts_client(&self, client_id: &str) -> bool {
        self.accepted_client_ids.iter().any(|accepted| accepted == client_id)
    }

    /// Of these scopes a token must carry at least one, if there are any.
    pub fn accepted_scopes(&self) -> &[String] {
        &self.accepted_scopes
    }

    /// Whether a bound token is refused where its binding is not presented.
    pub fn enforces_binding(&self) -> bool {
        self.enforce_binding
    }

    /// For how long after the index was last heard it accepts JWTs that are known from before, in microseconds; 0 for never.
    pub fn allow_stale_us(&self) -> u64 {
        self.allow_stale_us
    }

    /// Whether it accepts tokens that are bound in this way.
    pub fn accepts_binding_type(&self, binding_type: BindingType) -> bool {
        self.accepted_binding_types.is_empty() || self.accepted_binding_types.contains(&(binding_type as i32))
    }
}

impl From<v1::Resource> for Resource {
    fn from(declared: v1::Resource) -> Self {
        let mut audiences = declared.audiences;
        if audiences.is_empty() {
            audiences.push(declared.resource_id.clone());
        }
        Self {
            id: declared.resource_id,
            audiences,
            accepted_client_ids: declared.accepted_client_ids,
            accepted_scopes: declared.accepted_scopes,
            enforce_binding: declared.enforce_binding,
            accepted_binding_types: declared.accepted_binding_types,
            allow_stale_us: u64::from(declared.allow_stale_seconds.min(MAX_ALLOW_STALE_SECONDS)) * 1_000_000,
        }
    }
}

/// A resource and the secrets that it calls with.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) resource: Arc<Resource>,
    pub(crate) secrets: Vec<SecretDigest>,
    /// The name of the certificate that it may call with instead.
    pub(crate) certificate: Option<SubjectName>,
}

/// What a resource's document says.
pub(crate) fn registered(id: &str, document: &Document) -> Result<Registered, IndexError> {
    let corrupt = || IndexError::Corrupt(format!("the record of resource `{}`", id.escape_debug()));
    let record = ResourceRecord::decode(document.body.as_slice()).map_err(|_| corrupt())?;
    let mut declared = record.resource.ok_or_else(corrupt)?;
    let certificate = declared
        .caller_certificate
        .take()
        .and_then(|certificate| certificate.name);
    Ok(Registered {
        resource: Arc::new(declared.into()),
        secrets: record.secrets,
        certificate: certificate.map(|name| match name {
            Name::SanUri(uri) => SubjectName::Uri(uri),
            Name::SanDns(name) => SubjectName::Dns(name),
        }),
    })
}
