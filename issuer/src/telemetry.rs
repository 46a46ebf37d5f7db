//! What the issuer counts, and what it keeps a trail of.
//!
//! | name | kind | labels | meaning |
//! |---|---|---|---|
//! | [`TOKENS_ISSUED`] | counter | grant, format, outcome (`new`, `reused`, `superseded`) | tokens answered |
//! | [`ISSUE_ERRORS`] | counter | reason | requests for a token that were refused or failed |
//! | [`THROTTLED`] | counter | what (`secret`, `password`) | delays that began because of wrong secrets or passwords |
//! | [`INDEX_ERRORS`] | counter | kind (`unavailable`, `full`, `misconfigured`, `corrupt`) | what the index answered instead of what it was asked for |
//! | [`REVOCATION_ERRORS`] | counter | – | revocations that were answered as an error: not done, or done and not known to be durable |
//! | [`REVOCATIONS`] | counter | by (`token`, `refresh_token`, `reuse`, `binding`, `subject`, `application`) | revocations done |
//! | [`KEY_USED_SINCE`] | gauge | kind (`signing`, `opaque`) | seconds since 1970 from which on the key in use is used |
//! | [`KEY_RELOADS`] | counter | kind, outcome (`ok`, `failed`) | times that changed key files were read, or could not be made |
//! | [`CATALOG_RELOADS`] | counter | outcome (`ok`, `failed`) | times that a changed catalog was read |
//!
//! The trail is log lines of the target `audit`, as the validator has them: what was issued at the level `debug`, like what a
//! validator allowed, the rest at `info`. Neither holds a token, a secret or a raw binding id, and no
//! name that a caller chose is a label.

use std::net::IpAddr;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use tokenbind_index::{BindingRef, IndexError, Subject};
use tokenbind_proto::v1::{GrantType, TokenFormat};

use crate::error::IssuerError;
use crate::grant;
use crate::keys::Rotation;

/// Tokens answered.
pub const TOKENS_ISSUED: &str = "tokenbind_tokens_issued_total";
/// Requests for a token that were refused or failed.
pub const ISSUE_ERRORS: &str = "tokenbind_issue_errors_total";
/// Delays that began.
pub const THROTTLED: &str = "tokenbind_throttled_total";
/// Revocations done.
pub const REVOCATIONS: &str = "tokenbind_revocations_total";

/// Revocations that were not answered as done.
pub const REVOCATION_ERRORS: &str = "tokenbind_revocation_errors_total";
/// Errors of the index.
pub const INDEX_ERRORS: &str = "tokenbind_index_errors_total";
/// From when on the keys in use have been.
pub const KEY_USED_SINCE: &str = "tokenbind_key_used_since_timestamp_seconds";
/// Times that key files were read again.
pub const KEY_RELOADS: &str = "tokenbind_key_reloads_total";

/// Times that a changed catalog was read.
pub const CATALOG_RELOADS: &str = "tokenbind_catalog_reloads_total";

/// The target of the trail.
pub(crate) const AUDIT: &str = tokenbind_runtime::audit::TARGET;

/// Describes the metrics to the recorder, if there is one.
pub fn describe() {
    describe_counter!(
        TOKENS_ISSUED,
        Unit::Count,
        "Tokens answered, by grant, format and outcome."
    );
    describe_counter!(
        ISSUE_ERRORS,
        Unit::Count,
        "Requests for a token that were refused or failed, by reason."
    );
    describe_counter!(
        THROTTLED,
        Unit::Count,
        "Delays that began because of wrong secrets or passwords, by what was guessed."
    );
    describe_gauge!(
        KEY_USED_SINCE,
        "Seconds since 1970 from which on the key in use is used, by kind."
    );
    describe_counter!(
        KEY_RELOADS,
        Unit::Count,
        "Times that changed key files were read, by outcome."
    );
    describe_counter!(
        CATALOG_RELOADS,
        Unit::Count,
        "Times that a changed catalog was read, by outcome."
    );
    describe_counter!(REVOCATIONS, Unit::Count, "Revocations done, by what was revoked.");
    describe_counter!(
        REVOCATION_ERRORS,
        Unit::Count,
        "Revocations that were answered as an error: not done, or not known to be durable."
    );
    describe_counter!(
        INDEX_ERRORS,
        Unit::Count,
        "Errors of the index instead of an answer, by kind."
    );
    start_at_zero();
}

/// A counter that begins with its first event hides that event from `increase()`: those that alerts watch are there from the
/// beginning.
fn start_at_zero() {
    counter!(REVOCATION_ERRORS).increment(0);
    for kind in ["unavailable", "full", "misconfigured", "corrupt"] {
        counter!(INDEX_ERRORS, "kind" => kind).increment(0);
    }
    for outcome in ["ok", "failed"] {
        counter!(CATALOG_RELOADS, "outcome" => outcome).increment(0);
        for kind in ["signing", "opaque"] {
            counter!(KEY_RELOADS, "kind" => kind, "outcome" => outcome).increment(0);
        }
    }
    for what in ["secret", "password"] {
        counter!(THROTTLED, "what" => what).increment(0);
    }
    for by in ["token", "refresh_token", "reuse", "binding", "subject", "application"] {
        counter!(REVOCATIONS, "by" => by).increment(0);
    }
    for reason in ["temporarily_unavailable", "overloaded", "internal"] {
        counter!(ISSUE_ERRORS, "reason" => reason).increment(0);
    }
}

/// A revocation was not done, or is not known to be durable (R6).
pub(crate) fn not_revoked(error: IndexError) -> IssuerError {
    counter!(REVOCATION_ERRORS).increment(1);
    IssuerError::from(error).unconfirmed()
}

/// The index did not do what it was asked.
pub(crate) fn index_failed(error: &IndexError) {
    let kind = match error {
        IndexError::Unavailable(_) => "unavailable",
        IndexError::Full(_) => "full",
        IndexError::Misconfigured(_) => "misconfigured",
        IndexError::Corrupt(_) => "corrupt",
    };
    counter!(INDEX_ERRORS, "kind" => kind).increment(1);
}

/// A token was answered.
pub(crate) struct IssuedEvent<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) subject: &'a Subject,
    pub(crate) grant: GrantType,
    pub(crate) format: TokenFormat,
    pub(crate) binding_ref: Option<BindingRef>,
    pub(crate) outcome: &'static str,
    pub(crate) revision: u64,
}

impl IssuedEvent<'_> {
    pub(crate) fn record(&self) {
        let (grant, format) = (grant::name(self.grant), format_word(self.format));
        counter!(TOKENS_ISSUED, "grant" => grant, "format" => format, "outcome" => self.outcome).increment(1);
        // One for each token: writing it is a good part of what issuing costs.
        tracing::debug!(
            target: AUDIT,
            event = "issued",
            client_id = self.client_id,
            subject_kind = subject_kind(self.subject),
            grant,
            format,
            outcome = self.outcome,
            binding_ref = self.binding_ref.map(|reference| reference.encode()),
            revision = self.revision,
        );
    }
}

/// A request for a token was not fulfilled. The name is that of an application that exists: what else stands in its place may be
/// a secret.
pub(crate) fn refused(client_id: Option<&str>, error: &IssuerError) {
    let reason = error.reason();
    counter!(ISSUE_ERRORS, "reason" => reason).increment(1);
    tracing::info!(target: AUDIT, event = "refused", client_id, reason);
}

/// Somebody was not let administer, or revoke: whom they said to be is not known.
pub(crate) fn administration_refused(error: &IssuerError) {
    tracing::info!(target: AUDIT, event = "administration_refused", reason = error.reason());
}

/// Somebody has to wait from now on. Whom they guessed at is in the lines of the refusals before.
pub(crate) fn throttled(what: &'static str, peer: Option<IpAddr>, wait_ms: u64) {
    let peer = peer.map(|address| address.to_string());
    counter!(THROTTLED, "what" => what).increment(1);
    tracing::info!(target: AUDIT, event = "throttled", what, peer, wait_ms);
}

/// What was revoked.
pub(crate) struct RevokedEvent<'a> {
    pub(crate) by: &'static str,
    pub(crate) caller: &'a str,
    pub(crate) client_id: Option<&'a str>,
    /// `sub` of whose tokens; told where there were some, because what else stands in its place may be a secret.
    pub(crate) subject: Option<&'a str>,
    pub(crate) count: Option<u64>,
    pub(crate) revision: u64,
}

impl RevokedEvent<'_> {
    pub(crate) fn record(&self) {
        counter!(REVOCATIONS, "by" => self.by).increment(1);
        let subject = self.subject.filter(|_| self.count.is_some_and(|count| count > 0));
        tracing::info!(
            target: AUDIT,
            event = "revoked",
            by = self.by,
            caller = self.caller,
            client_id = self.client_id,
            subject,
            count = self.count,
            revision = self.revision,
        );
    }
}

/// A refresh token was used a second time, and what it belongs to was ended: somebody else may have it.
pub(crate) fn reused(client_id: &str, subject: &str, count: u64, revision: u64) {
    counter!(REVOCATIONS, "by" => "reuse").increment(1);
    tracing::warn!(target: AUDIT, event = "refresh_token_reused", client_id, subject, count, revision);
}

/// An administrator rotated the keys that sign.
pub(crate) fn signing_key_rotated(rotation: &Rotation) {
    let Rotation {
        newest_key_id,
        use_from,
        ..
    } = rotation;
    tracing::info!(target: AUDIT, event = "signing_key_rotated", key_id = newest_key_id, use_from);
}

/// An administrator withdrew a key that leaked.
pub(crate) fn key_withdrawn(kind: &'static str, key_id: &str, by: &str, revision: u64) {
    tracing::warn!(target: AUDIT, event = "key_withdrawn", kind, key_id, by, revision);
}

/// Another key is used from now on.
pub(crate) fn key_in_use(kind: &'static str, key_id: &str) {
    tracing::info!(target: AUDIT, event = "key_in_use", kind, key_id);
}

pub(crate) fn key_used_since(kind: &'static str, seconds: i64) {
    #[expect(clippy::cast_precision_loss, reason = "seconds fit until the sun is gone")]
    gauge!(KEY_USED_SINCE, "kind" => kind).set(seconds as f64);
}

/// A catalog that had changed was read.
pub(crate) fn catalog_read(fine: bool) {
    let outcome = if fine { "ok" } else { "failed" };
    counter!(CATALOG_RELOADS, "outcome" => outcome).increment(1);
}

/// Key files that had changed were read.
pub(crate) fn key_files_read(kind: &'static str, fine: bool) {
    let outcome = if fine { "ok" } else { "failed" };
    counter!(KEY_RELOADS, "kind" => kind, "outcome" => outcome).increment(1);
}

fn subject_kind(subject: &Subject) -> &'static str {
    match subject {
        Subject::User(_) => "user",
        Subject::Application(_) => "application",
        Subject::External(_) => "external",
    }
}

fn format_word(format: TokenFormat) -> &'static str {
    match format {
        TokenFormat::Unspecified => "unspecified",
        TokenFormat::Jwt => "jwt",
        TokenFormat::Opaque => "opaque",
    }
}
