//! What a validator is asked.

use tokenbind_index::{BindingId, BindingIdTooLong, BindingValue, Revision};

use crate::resource::Resource;

/// A token, the request that carries it, and the resource that has to decide.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The token as it came; empty when the request has none.
    pub token: Presented<'a>,
    /// For which resource.
    pub resource: &'a Resource,
    /// Who presents the token, as the resource saw it.
    pub presenter: Presenter<'a>,
    /// If there are any, the token must have been issued to one of these.
    pub expected_client_ids: &'a [String],
    /// All of them must be granted.
    pub required_scopes: &'a [String],
    /// How fresh the answer must be.
    pub consistency: Consistency,
}

/// The text of a token. Formats without it.
#[derive(Clone, Copy, Default)]
pub struct Presented<'a>(pub &'a str);

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Presented(..)")
    }
}

/// Who presents a token.
#[derive(Clone, Debug, Default)]
pub struct Presenter<'a> {
    /// The application that makes the request, where the resource knows it.
    pub client_id: Option<&'a str>,
    /// The `token_binding_id` that came with the request, as the value that it binds to.
    pub binding: Option<BindingValue>,
    /// SHA-256 of the client certificate of the request's TLS connection.
    pub certificate_sha256: Option<[u8; 32]>,
}

impl Presenter<'_> {
    /// Somebody who sent this `token_binding_id`; empty or only white space is none.
    ///
    /// # Errors
    /// It is longer than 255 bytes.
    pub fn with_binding_id(sent: &str) -> Result<Self, BindingIdTooLong> {
        Ok(Self {
            binding: BindingId::parse(sent)?.map(BindingValue::ClientRequest),
            ..Self::default()
        })
    }
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Whatever is fastest within the validator's staleness bound.
    #[default]
    MinimizeLatency,
    /// Not older than this revision.
    AtLeastAsFresh(Revision),
    /// As of now.
    FullyConsistent,
}
