//! What is sent, and how an answer is told from an error at little cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokenbind_proto::v1::consistency::Requirement;
use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::{
    ClientCredentialsGrant, Consistency, IntrospectTokenRequest, IssueTokenRequest, Presenter, ValidateTokenRequest,
    ValidateTokensRequest,
};

use secrecy::ExposeSecret as _;

use super::args::{ConsistencyArg, Format};
use super::credentials::{Credentials, binding_id};
use super::fill::Filled;
use super::peer::framed;

/// `ValidateToken`.
pub(super) const VALIDATE: &str = "/tokenbind.v1.ValidationService/ValidateToken";
/// `ValidateTokens`.
pub(super) const BATCH: &str = "/tokenbind.v1.ValidationService/ValidateTokens";
/// `IntrospectToken`.
pub(super) const INTROSPECT: &str = "/tokenbind.v1.ValidationService/IntrospectToken";
/// `IssueToken`.
pub(super) const ISSUE: &str = "/tokenbind.v1.TokenService/IssueToken";
/// `RevokeToken`.
pub(super) const REVOKE: &str = "/tokenbind.v1.TokenService/RevokeToken";

/// What is sent.
#[derive(Clone)]
pub(super) struct Workload {
    pub(super) path: &'static str,
    pub(super) authorization: Option<String>,
    /// Tokens in each call.
    pub(super) tokens_per_call: u32,
    pub(super) messages: Messages,
    /// Whether an answer, as it came, is what this load must get. Only its beginning is looked at, because the load has to
    /// cost less than the server.
    pub(super) good: fn(&[u8]) -> bool,
}

/// The messages of the calls.
#[derive(Clone)]
pub(super) enum Messages {
    /// Again and again.
    Cycled(Arc<[Bytes]>),
    /// Each once.
    Once(Arc<[Bytes]>),
    /// Made for each call.
    Made(Arc<dyn Fn(u64) -> Bytes + Send + Sync>),
}

impl Messages {
    /// That of the call with this number; `None` when there are no more.
    pub(super) fn get(&self, call: u64) -> Option<Bytes> {
        let index = usize::try_from(call).ok()?;
        match self {
            Self::Cycled(messages) => messages.get(index % messages.len().max(1)).cloned(),
            Self::Once(messages) => messages.get(index).cloned(),
            Self::Made(make) => Some(make(call)),
        }
    }

    /// Again and again, also where it is once.
    pub(super) fn cycled(&self) -> Self {
        match self {
            Self::Once(messages) => Self::Cycled(Arc::clone(messages)),
            other => other.clone(),
        }
    }
}

/// The first field of `ValidateTokenResponse` and of `IntrospectTokenResponse`: `DECISION_ALLOW`, and active.
pub(super) fn first_field_is_one(answer: &[u8]) -> bool {
    answer.starts_with(&[0x08, 0x01])
}

/// The first field of `IssueTokenResponse` is the token; of `ValidateTokensResponse` the first answer.
fn first_field_is_there(answer: &[u8]) -> bool {
    answer.first() == Some(&0x0a)
}

/// A question about a token.
pub(super) fn question(filled: &Filled, consistency: ConsistencyArg) -> ValidateTokenRequest {
    let requirement = match consistency {
        ConsistencyArg::Minimize => Requirement::MinimizeLatency(true),
        ConsistencyArg::Fully => Requirement::FullyConsistent(true),
    };
    ValidateTokenRequest {
        token: filled.token.clone(),
        presenter: Some(Presenter {
            client_id: filled.client_id.clone(),
            token_binding_id: filled.binding_id.clone(),
            ..Presenter::default()
        }),
        consistency: Some(Consistency {
            requirement: Some(requirement),
        }),
        ..ValidateTokenRequest::default()
    }
}

/// One token a call.
pub(super) fn validate(
    tokens: &[Filled],
    consistency: ConsistencyArg,
    once: bool,
    credentials: &Credentials,
) -> Workload {
    let messages = tokens
        .iter()
        .map(|token| framed(&question(token, consistency)))
        .collect();
    Workload {
        path: VALIDATE,
        authorization: Some(credentials.resource_authorization()),
        tokens_per_call: 1,
        messages: if once {
            Messages::Once(messages)
        } else {
            Messages::Cycled(messages)
        },
        good: first_field_is_one,
    }
}

/// Several tokens a call.
pub(super) fn batch(tokens: &[Filled], size: u32, credentials: &Credentials) -> Workload {
    let size_of_chunk = usize::try_from(size).unwrap_or(usize::MAX);
    let messages = tokens.chunks_exact(size_of_chunk.min(tokens.len()));
    let messages = messages.map(|chunk| {
        let requests = chunk.iter().map(|token| question(token, ConsistencyArg::Minimize));
        framed(&ValidateTokensRequest {
            requests: requests.collect(),
        })
    });
    Workload {
        path: BATCH,
        authorization: Some(credentials.resource_authorization()),
        tokens_per_call: size.min(u32::try_from(tokens.len()).unwrap_or(u32::MAX)),
        messages: Messages::Cycled(messages.collect()),
        good: first_field_is_there,
    }
}

/// RFC 7662's question.
pub(super) fn introspect(tokens: &[Filled], credentials: &Credentials) -> Workload {
    let messages = tokens.iter().map(|token| {
        framed(&IntrospectTokenRequest {
            token: token.token.clone(),
            ..IntrospectTokenRequest::default()
        })
    });
    Workload {
        path: INTROSPECT,
        authorization: Some(credentials.resource_authorization()),
        tokens_per_call: 1,
        messages: Messages::Cycled(messages.collect()),
        good: first_field_is_one,
    }
}

/// A request for a token of a slot.
pub(super) fn issue_request(slot: u64, credentials: &Credentials) -> IssueTokenRequest {
    IssueTokenRequest {
        grant: Some(Grant::ClientCredentials(ClientCredentialsGrant {})),
        client_id: credentials.client_id(slot),
        client_secret: credentials.client_secret().expose_secret().to_owned(),
        token_binding_id: binding_id(slot),
        ..IssueTokenRequest::default()
    }
}

/// A token a call: a JWT of `slots` in turn, each of which supersedes the last; an opaque token of a slot that is still empty,
/// because a live one would be answered again.
pub(super) fn issue(format: Format, slots: u64, credentials: &Credentials) -> Workload {
    let credentials = credentials.clone();
    let next = AtomicU64::new(0);
    let slot = move |call: u64| match format {
        Format::Jwt => call % slots,
        Format::Opaque => next.fetch_add(1, Ordering::Relaxed),
    };
    issue_of(Messages::Made(Arc::new(move |call| {
        framed(&issue_request(slot(call), &credentials))
    })))
}

/// The live token of each of `slots` again.
pub(super) fn reuse(slots: u64, credentials: &Credentials) -> Workload {
    let messages = (0..slots).map(|slot| framed(&issue_request(slot, credentials)));
    issue_of(Messages::Cycled(messages.collect()))
}

fn issue_of(messages: Messages) -> Workload {
    Workload {
        path: ISSUE,
        authorization: None,
        tokens_per_call: 1,
        messages,
        good: first_field_is_there,
    }
}
