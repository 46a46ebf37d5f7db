//! What a validator answers.

use std::borrow::Cow;
use std::sync::Arc;

use tokenbind_index::Revision;
use tokenbind_proto::v1::{Decision, FreshnessSource, Reason};

use crate::facts::KnownToken;
use crate::question::Question;

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Why; the decision follows from it.
    pub reason: Reason,
    /// What is known of the token, when it is live and meant for the resource, whatever was decided.
    pub token: Option<Arc<KnownToken>>,
    /// The value of `WWW-Authenticate`; empty where allowed.
    pub www_authenticate: Cow<'static, str>,
    /// How the verdict was reached (V11).
    pub freshness: Freshness,
}

/// How a verdict was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Where the facts came from.
    pub source: FreshnessSource,
    /// Of the record that was judged; 0 where there is none.
    pub revision: Revision,
    /// As of when, in microseconds since 1970: taken before the first read.
    pub checked_at_us: u64,
    /// How much older than that the facts can be at most, in microseconds.
    pub max_staleness_us: u64,
}

impl Freshness {
    /// The index was read after `checked_at_us`.
    pub(crate) fn of_index(checked_at_us: u64, revision: Revision) -> Self {
        Self {
            source: FreshnessSource::Index,
            revision,
            checked_at_us,
            max_staleness_us: 0,
        }
    }

    /// The facts were kept, and every change up to `age_us` ago is known.
    pub(crate) fn of_cache(checked_at_us: u64, revision: Revision, age_us: u64) -> Self {
        Self {
            source: FreshnessSource::Cache,
            revision,
            checked_at_us,
            max_staleness_us: age_us,
        }
    }

    /// The token alone was enough.
    pub(crate) fn of_token(checked_at_us: u64) -> Self {
        Self {
            source: FreshnessSource::Token,
            ..Self::of_index(checked_at_us, 0)
        }
    }
}

impl Verdict {
    /// What was decided.
    pub fn decision(&self) -> Decision {
        decision(self.reason)
    }

    /// The status of HTTP that goes with it: 200, 401 or 403.
    pub fn http_status(&self) -> u32 {
        match self.decision() {
            Decision::Allow => 200,
            Decision::PermissionDenied => 403,
            Decision::Unspecified | Decision::Unauthenticated => 401,
        }
    }
}

/// The column "verdict" of the rules V1 to V9.
pub fn decision(reason: Reason) -> Decision {
    match reason {
        Reason::Valid => Decision::Allow,
        Reason::ClientMissing
        | Reason::ClientMismatch
        | Reason::ClientNotAccepted
        | Reason::ScopeInsufficient
        | Reason::BindingMissing
        | Reason::BindingMismatch
        | Reason::BindingTypeNotAccepted => Decision::PermissionDenied,
        Reason::Unspecified
        | Reason::TokenMissing
        | Reason::TokenMalformed
        | Reason::SignatureInvalid
        | Reason::IssuerMismatch
        | Reason::TokenExpired
        | Reason::TokenNotYetValid
        | Reason::TokenNotLive
        | Reason::TokenSuperseded
        | Reason::ApplicationRevoked
        | Reason::ApplicationDisabled
        | Reason::AudienceMismatch
        | Reason::ProofMissing
        | Reason::ProofInvalid => Decision::Unauthenticated,
    }
}

/// The challenge of RFC 6750, section 3.
///
/// A 403 for anything but a scope is a bare `Bearer`: the header must be there, none of the error codes of section 3.1
/// fits, and `insufficient_scope` would send the application off to ask for scopes that cannot help it.
pub(crate) fn challenge(reason: Reason, question: &Question<'_>) -> Cow<'static, str> {
    match (decision(reason), reason) {
        (Decision::Allow, _) => Cow::Borrowed(""),
        (Decision::PermissionDenied, Reason::ScopeInsufficient) => Cow::Owned(insufficient_scope(question)),
        (_, Reason::TokenMissing) | (Decision::PermissionDenied, _) => Cow::Borrowed("Bearer"),
        (_, reason) => Cow::Borrowed(invalid_token(reason)),
    }
}

fn invalid_token(reason: Reason) -> &'static str {
    match reason {
        Reason::TokenExpired => r#"Bearer error="invalid_token", error_description="the access token expired""#,
        Reason::TokenNotYetValid => {
            r#"Bearer error="invalid_token", error_description="the access token is not valid yet""#
        }
        Reason::TokenMalformed => r#"Bearer error="invalid_token", error_description="the access token is malformed""#,
        Reason::AudienceMismatch => {
            r#"Bearer error="invalid_token", error_description="the access token is for another audience""#
        }
        Reason::ProofMissing | Reason::ProofInvalid => {
            r#"Bearer error="invalid_token", error_description="the access token is bound to a key that was not proven""#
        }
        // Revoked, superseded, forged: whoever holds such a token learns no more than that it is of no use.
        _ => r#"Bearer error="invalid_token", error_description="the access token is not valid""#,
    }
}

fn insufficient_scope(question: &Question<'_>) -> String {
    let mut header = String::from(r#"Bearer error="insufficient_scope""#);
    // What the request needs, or else what the resource needs, of which one is enough.
    let needed = match question.required_scopes {
        [] => question.resource.accepted_scopes(),
        required => required,
    };
    let mut separator = r#", scope=""#;
    for scope in needed.iter().filter(|scope| is_scope_token(scope)) {
        header.push_str(separator);
        header.push_str(scope);
        separator = " ";
    }
    if separator == " " {
        header.push('"');
    }
    header
}

/// Whether a text is a `scope-token` (RFC 6749, section 3.3), which needs no escaping in a quoted string.
pub(crate) fn is_scope_token(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !text.is_empty() && text.bytes().all(allowed)
}
