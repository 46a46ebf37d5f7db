//! What is sent, and how an answer is told from an error at little cost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
use super::stream_load;

/// `ValidateToken`.
pub(super) const VALIDATE: &str = "/tokenbind.v1.ValidationService/ValidateToken";
/// `ValidateTokens`.
pub(super) const BATCH: &str = "/tokenbind.v1.ValidationService/ValidateTokens";
/// `StreamValidate`.
pub(super) const STREAM: &str = "/tokenbind.v1.ValidationService/StreamValidate";
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
    /// How the messages go.
    pub(super) shape: Shape,
    pub(super) messages: Messages,
    /// What an answer is, as it came. Only its beginning is looked at, because the load has to cost less than the server.
    pub(super) judge: fn(&[u8]) -> Answer,
}

/// How messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each is a call.
    Calls,
    /// They are questions on so many streams.
    Streams(usize),
}

impl Shape {
    /// No more streams than there are questions in flight.
    pub(super) fn limit(&mut self, concurrency: usize) {
        if let Self::Streams(streams) = self {
            *streams = (*streams).min(concurrency).max(1);
        }
    }
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// What this load must get.
    Good,
    /// A refusal that this load may get: the token was superseded.
    Superseded,
    /// Anything else.
    Wrong,
}

impl Answer {
    fn good_if(condition: bool) -> Self {
        if condition { Self::Good } else { Self::Wrong }
    }
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

/// The same as an answer.
fn allowed(answer: &[u8]) -> Answer {
    Answer::good_if(first_field_is_one(answer))
}

/// Allowed, or `DECISION_UNAUTHENTICATED` for `REASON_TOKEN_SUPERSEDED`.
fn allowed_or_superseded(answer: &[u8]) -> Answer {
    if answer.starts_with(&[0x08, 0x02, 0x10, 0x09]) {
        return Answer::Superseded;
    }
    allowed(answer)
}

/// The first field of `IssueTokenResponse` is the token; of `ValidateTokensResponse` the first answer.
fn first_field_is_there(answer: &[u8]) -> Answer {
    Answer::good_if(answer.first() == Some(&0x0a))
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
        shape: Shape::Calls,
        messages: if once {
            Messages::Once(messages)
        } else {
            Messages::Cycled(messages)
        },
        judge: allowed,
    }
}

/// The tokens of these cells, which others replace meanwhile.
pub(super) fn validate_replaced(cells: Arc<[Mutex<Bytes>]>, credentials: &Credentials) -> Workload {
    let message = move |call: u64| {
        let cell = usize::try_from(call).unwrap_or_default() % cells.len().max(1);
        let cell = cells
            .get(cell)
            .map(|cell| cell.lock().unwrap_or_else(PoisonError::into_inner));
        cell.map(|message| message.clone()).unwrap_or_default()
    };
    Workload {
        path: VALIDATE,
        authorization: Some(credentials.resource_authorization()),
        tokens_per_call: 1,
        shape: Shape::Calls,
        messages: Messages::Made(Arc::new(message)),
        judge: allowed_or_superseded,
    }
}

/// A token for each question of a stream.
pub(super) fn stream(tokens: &[Filled], streams: usize, credentials: &Credentials) -> Workload {
    let messages = tokens
        .iter()
        .map(|token| stream_load::question(question(token, ConsistencyArg::Minimize)));
    Workload {
        path: STREAM,
        authorization: Some(credentials.resource_authorization()),
        tokens_per_call: 1,
        shape: Shape::Streams(streams.max(1)),
        messages: Messages::Cycled(messages.collect()),
        judge: allowed,
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
        shape: Shape::Calls,
        messages: Messages::Cycled(messages.collect()),
        judge: first_field_is_there,
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
        shape: Shape::Calls,
        messages: Messages::Cycled(messages.collect()),
        judge: allowed,
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
        shape: Shape::Calls,
        messages,
        judge: first_field_is_there,
    }
}
