//! What a token is bound to beside its application.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;
use tokenbind_proto::v1::BindingType;

use crate::digest::FieldDigest;
use crate::locator::Home;
use crate::namespace::Namespace;

/// A `token_binding_id` is longer than [`BindingId::MAX_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be at most {max} bytes", max = BindingId::MAX_BYTES)]
pub struct BindingIdTooLong;

/// The `token_binding_id` of a request: names one device or instance. It is compared byte for byte and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct BindingId(String);

impl BindingId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Reads what a caller sent: empty or only white space is no binding (S11).
    ///
    /// # Errors
    /// When it is longer than [`Self::MAX_BYTES`].
    pub fn parse(sent: &str) -> Result<Option<Self>, BindingIdTooLong> {
        if sent.len() > Self::MAX_BYTES {
            return Err(BindingIdTooLong);
        }
        Ok((!sent.trim().is_empty()).then(|| Self(sent.to_owned())))
    }
}

impl fmt::Debug for BindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BindingId(..)")
    }
}

/// The value that a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingValue {
    /// The id that the caller sent.
    ClientRequest(BindingId),
    /// SHA-256 of the client certificate (RFC 8705).
    Certificate([u8; 32]),
}

impl BindingValue {
    /// How the value binds.
    pub fn binding_type(&self) -> BindingType {
        match self {
            Self::ClientRequest(_) => BindingType::ClientRequest,
            Self::Certificate(_) => BindingType::Certificate,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::ClientRequest(id) => id.0.as_bytes(),
            Self::Certificate(sha256) => sha256,
        }
    }

    /// What a token, a record and a log call the binding. The tenant is the index's namespace.
    pub fn reference(&self, tenant: &Namespace, client_id: &str) -> BindingRef {
        BindingRef(
            FieldDigest::new("tokenbind binding 1")
                .field(self.binding_type().as_str_name().as_bytes())
                .field(tenant.as_str().as_bytes())
                .field(client_id.as_bytes())
                .field(self.bytes())
                .finish(),
        )
    }

    /// What the subject's list files the binding under, the same in every application: a lost device is found in all of
    /// them in one pass (R2).
    pub fn tag(&self, home: &Home) -> BindingTag {
        let digest = FieldDigest::new("tokenbind binding tag 1")
            .field(self.binding_type().as_str_name().as_bytes())
            .field(home.as_bytes())
            .field(self.bytes());
        BindingTag(digest.truncated())
    }
}

/// A digest of a binding value with its type, tenant and application: two applications cannot compare theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BindingRef(pub [u8; 32]);

impl BindingRef {
    /// The form in tokens and answers: base64url without padding, 43 characters.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The reference in a record; `None` when the record is not bound.
    pub fn from_record(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// Files a token under a binding in its subject's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindingTag(pub [u8; 8]);

impl BindingTag {
    /// What an unbound token is filed under.
    pub const UNBOUND: Self = Self([0; 8]);
}

/// Files a token under its application in its subject's list.
///
/// As long as a list of one fits into the next smaller piece of memory: of a thousand applications, two share one with a
/// probability of one in two million. Such a pair would share its limit of bindings, and a revocation within one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationTag(pub [u8; 5]);

impl ApplicationTag {
    /// The tag of an application.
    pub fn of(client_id: &str) -> Self {
        Self(
            FieldDigest::new("tokenbind application tag 1")
                .field(client_id.as_bytes())
                .truncated(),
        )
    }
}
