//! What a use case can answer instead of what it was asked for.

use std::time::Duration;

use thiserror::Error;
use tokenbind_index::IndexError;

use crate::telemetry;

/// One field of a request that is wrong, by its path in the request (`scopes[2]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// As in the `.proto`, with indices.
    pub field: String,
    /// What is wrong, and what would be right. Never repeats the value: it may be a secret.
    pub description: String,
}

/// Collects every violation of a request, so that a caller learns of all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldViolations(Vec<FieldViolation>);

impl FieldViolations {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records one.
    pub fn push(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(FieldViolation {
            field: field.into(),
            description: description.into(),
        });
    }

    /// Whether nothing was wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was recorded, in order.
    pub fn as_slice(&self) -> &[FieldViolation] {
        &self.0
    }

    /// Nothing, or an [`IssuerError::Invalid`] with all of them.
    pub fn finish(self) -> Result<(), IssuerError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(IssuerError::invalid(self.0))
        }
    }
}

/// The OAuth error code of bad input (RFC 6749, section 5.2; RFC 8707, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// A field is missing, too long, repeated or contradicts another.
    Request,
    /// A scope is malformed, or more than the application may have.
    Scope,
    /// An audience is malformed, or not one of the application's.
    Target,
    /// No grant, or one that this issuer does not know.
    GrantType,
}

impl InvalidReason {
    /// The error code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "invalid_request",
            Self::Scope => "invalid_scope",
            Self::Target => "invalid_target",
            Self::GrantType => "unsupported_grant_type",
        }
    }

    /// The code that fits every violation; several kinds at once are an invalid request.
    fn of(violations: &[FieldViolation]) -> Self {
        let one = |violation: &FieldViolation| match violation.field.as_str() {
            "grant" => Self::GrantType,
            field if field == "scopes" || field.starts_with("scopes[") => Self::Scope,
            field if field == "audiences" || field.starts_with("audiences[") => Self::Target,
            _ => Self::Request,
        };
        let mut reasons = violations.iter().map(one);
        let first = reasons.next().unwrap_or(Self::Request);
        if reasons.all(|reason| reason == first) {
            first
        } else {
            Self::Request
        }
    }
}

/// Why a use case did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IssuerError {
    /// The request is wrong in itself. Asking the same again is useless.
    #[error("{} (fields: {})", reason.as_str(), fields(violations))]
    Invalid {
        /// The OAuth error code.
        reason: InvalidReason,
        /// At least one.
        violations: Vec<FieldViolation>,
    },
    /// The application did not prove who it is. Never says in which way it failed (A17).
    #[error("invalid_client")]
    InvalidClient,
    /// The grant's credentials are wrong. Never says in which way.
    #[error("invalid_grant")]
    InvalidGrant,
    /// The application is who it says, but may not do this.
    #[error("unauthorized_client: {0}")]
    UnauthorizedClient(&'static str),
    /// No administrator's token came with the call.
    #[error("no administrator's token")]
    CredentialsMissing,
    /// The administrator's token is malformed, unknown, expired, revoked or superseded.
    #[error("invalid_token")]
    InvalidToken,
    /// The administrator's token is live, but not good for this.
    #[error("insufficient_scope: {0}")]
    InsufficientScope(&'static str),
    /// There is no such thing.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// There is one already.
    #[error("{0} already exists")]
    AlreadyExists(&'static str),
    /// It is declared in the catalog file, so it can be changed only there.
    #[error("{0} is declared in the catalog")]
    DeclaredInCatalog(&'static str),
    /// Somebody else changed it meanwhile.
    #[error("{0} was changed meanwhile")]
    Conflict(&'static str),
    /// It cannot be done without: there is no other one to take its place.
    #[error("there is no other {0}")]
    OnlyOne(&'static str),
    /// Every key of that kind that this issuer has is withdrawn.
    #[error("every {0} key that this issuer has is withdrawn: give it a new one (tokenbind keys generate)")]
    KeysWithdrawn(&'static str),
    /// The subject has as many live bindings as it may (S16).
    #[error("binding_limit_reached")]
    BindingLimitReached,
    /// Too many wrong secrets or passwords came: nothing is looked at before the wait is over.
    #[error("too_many_attempts")]
    TooManyAttempts {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Too much is being asked at once.
    #[error("overloaded")]
    Overloaded,
    /// It cannot be done now. The text is for the log alone.
    #[error("temporarily unavailable: {0}")]
    Unavailable(String),
    /// It was asked of the store and may be done, but is not known to be durable (R6). Doing it again does no harm. The text is for the log
    /// alone.
    #[error("not confirmed: {0}")]
    Unconfirmed(String),
    /// It cannot be done before somebody repairs something. The text is for the log alone.
    #[error("internal: {0}")]
    Internal(String),
}

impl IssuerError {
    /// Bad input, with the OAuth error code that fits all of `violations`.
    pub fn invalid(violations: Vec<FieldViolation>) -> Self {
        Self::Invalid {
            reason: InvalidReason::of(&violations),
            violations,
        }
    }

    /// Bad input in one field.
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::invalid(vec![FieldViolation {
            field: field.into(),
            description: description.into(),
        }])
    }

    /// The same of something that may be done all the same.
    pub(crate) fn unconfirmed(self) -> Self {
        match self {
            Self::Unavailable(detail) => Self::Unconfirmed(detail),
            other => other,
        }
    }

    /// The stable name of the kind of error: `ErrorInfo.reason`, and the label in metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid { reason, .. } => reason.as_str(),
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient(_) => "unauthorized_client",
            Self::CredentialsMissing | Self::InvalidToken => "invalid_token",
            Self::InsufficientScope(_) => "insufficient_scope",
            Self::NotFound(_) => "not_found",
            Self::AlreadyExists(_) => "already_exists",
            Self::DeclaredInCatalog(_) => "declared_in_catalog",
            Self::Conflict(_) => "conflict",
            Self::OnlyOne(_) => "only_one",
            Self::BindingLimitReached => "binding_limit_reached",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::Overloaded => "overloaded",
            Self::Unavailable(_) | Self::Unconfirmed(_) | Self::KeysWithdrawn(_) => "temporarily_unavailable",
            Self::Internal(_) => "internal",
        }
    }
}

impl From<IndexError> for IssuerError {
    fn from(error: IndexError) -> Self {
        telemetry::index_failed(&error);
        // An operator can repair a store without a restart, so a caller may try again in each case but one: what cannot be
        // read stays unreadable.
        match error {
            IndexError::Corrupt(_) => Self::Internal(error.to_string()),
            IndexError::Unavailable(_) | IndexError::Full(_) | IndexError::Misconfigured(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

fn fields(violations: &[FieldViolation]) -> String {
    violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
