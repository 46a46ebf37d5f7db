//! What operators see of the answers: counters, and an audit log.
//!
//! | name | kind | labels | meaning |
//! |---|---|---|---|
//! | [`VALIDATIONS`] | counter | decision, reason | verdicts |
//! | [`INTROSPECTIONS`] | counter | active | answers to introspection |
//!
//! Neither holds a token or a raw binding id, and no label holds anything that a caller can choose.

use std::ops::Deref;

use metrics::{Counter, counter, describe_counter};
use tokenbind_proto::v1::{Decision, Reason};

use crate::facts::TokenFacts;
use crate::question::Question;
use crate::resource::Resource;
use crate::verdict::{self, Verdict};

/// Verdicts by decision and reason.
pub const VALIDATIONS: &str = "tokenbind_validations_total";
/// Answers to introspection.
pub const INTROSPECTIONS: &str = "tokenbind_introspections_total";

/// Where the audit log goes: allowed at level debug, refused at level info.
pub const AUDIT: &str = "audit";

/// Counts and logs. The counters are looked up once, so that a call costs an addition.
pub(crate) struct Observer {
    /// By the number of the reason.
    validations: Vec<Counter>,
    active: Counter,
    inactive: Counter,
}

impl Observer {
    pub(crate) fn new() -> Self {
        describe_counter!(VALIDATIONS, "Verdicts on tokens, by decision and reason.");
        describe_counter!(
            INTROSPECTIONS,
            "Answers to introspection, by whether the token was active."
        );
        let reasons = (0..).map_while(|number| Reason::try_from(number).ok());
        let validation = |reason| {
            let decision = label(verdict::decision(reason).as_str_name(), "DECISION_");
            let reason = label(reason.as_str_name(), "REASON_");
            counter!(VALIDATIONS, "decision" => decision, "reason" => reason)
        };
        Self {
            validations: reasons.map(validation).collect(),
            active: counter!(INTROSPECTIONS, "active" => "true"),
            inactive: counter!(INTROSPECTIONS, "active" => "false"),
        }
    }

    pub(crate) fn validated(&self, question: &Question<'_>, verdict: &Verdict) {
        let number = usize::try_from(verdict.reason as i32).unwrap_or_default();
        if let Some(counter) = self.validations.get(number) {
            counter.increment(1);
        }
        let (resource, reason) = (question.resource.id(), verdict.reason.as_str_name());
        let (client_id, binding_ref) = described(verdict.token.as_deref().map(Deref::deref));
        if verdict.decision() == Decision::Allow {
            tracing::debug!(target: AUDIT, resource, reason, client_id, binding_ref = binding_ref(), "token allowed");
        } else {
            tracing::info!(target: AUDIT, resource, reason, client_id, binding_ref = binding_ref(), "token refused");
        }
    }

    pub(crate) fn introspected(&self, caller: &Resource, active: Option<&TokenFacts>) {
        let counter = if active.is_some() { &self.active } else { &self.inactive };
        counter.increment(1);
        let (client_id, binding_ref) = described(active);
        let (resource, active) = (caller.id(), active.is_some());
        tracing::debug!(target: AUDIT, resource, active, client_id, binding_ref = binding_ref(), "token introspected");
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

/// The reference is encoded only where it is logged.
fn described(token: Option<&TokenFacts>) -> (Option<&str>, impl Fn() -> Option<String>) {
    let reference = token.and_then(|token| token.binding.reference());
    (token.map(|token| token.grant.client_id.as_str()), move || {
        reference.map(tokenbind_index::BindingRef::encode)
    })
}

/// `REASON_TOKEN_MISSING` becomes `token_missing`.
fn label(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_ascii_lowercase()
}
