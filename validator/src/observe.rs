//! What operators see of the answers: counters, and an audit log.
//!
//! | name | kind | labels | meaning |
//! |---|---|---|---|
//! | [`VALIDATIONS`] | counter | decision, reason | verdicts |
//! | [`FACTS`] | counter | source | where the facts of a verdict came from |
//! | [`INTROSPECTIONS`] | counter | active | answers to introspection |
//! | [`CALLERS_REFUSED`] | counter | – | calls that no resource proved to be its own |
//!
//! Neither holds a token or a raw binding id, and no label holds anything that a caller can choose.

use std::ops::Deref;

use metrics::{Counter, counter, describe_counter};
use tokenbind_proto::v1::{Decision, FreshnessSource, Reason};

use crate::facts::TokenFacts;
use crate::question::Question;
use crate::resource::Resource;
use crate::verdict::{self, Verdict};

/// Verdicts by decision and reason.
pub const VALIDATIONS: &str = "tokenbind_validations_total";
/// Verdicts by where their facts came from.
pub const FACTS: &str = "tokenbind_facts_total";
/// Answers to introspection.
pub const INTROSPECTIONS: &str = "tokenbind_introspections_total";

/// Calls without the credentials of a resource, or with wrong ones.
pub const CALLERS_REFUSED: &str = "tokenbind_callers_refused_total";

/// Where the audit log goes: allowed at level debug, refused at level info.
pub const AUDIT: &str = tokenbind_runtime::audit::TARGET;

/// Somebody who is no resource, as far as was proven, asked.
pub(crate) fn caller_refused() {
    counter!(CALLERS_REFUSED).increment(1);
}

/// Counts and logs. The counters are looked up once, so that a call costs an addition.
pub(crate) struct Observer {
    /// By the number of the reason.
    validations: Vec<Counter>,
    /// By the number of the source.
    facts: Vec<Counter>,
    active: Counter,
    inactive: Counter,
}

impl Observer {
    pub(crate) fn new() -> Self {
        describe_counter!(VALIDATIONS, "Verdicts on tokens, by decision and reason.");
        describe_counter!(FACTS, "Verdicts on tokens, by where the facts came from.");
        describe_counter!(
            INTROSPECTIONS,
            "Answers to introspection, by whether the token was active."
        );
        describe_counter!(
            CALLERS_REFUSED,
            "Calls without the credentials of a resource, or with wrong ones."
        );
        counter!(CALLERS_REFUSED).increment(0);
        let reasons = (0..).map_while(|number| Reason::try_from(number).ok());
        let validation = |reason| {
            let decision = label(verdict::decision(reason).as_str_name(), "DECISION_");
            let reason = label(reason.as_str_name(), "REASON_");
            counter!(VALIDATIONS, "decision" => decision, "reason" => reason)
        };
        let sources = (0..).map_while(|number| FreshnessSource::try_from(number).ok());
        let source = |source: FreshnessSource| {
            let source = label(source.as_str_name(), "FRESHNESS_SOURCE_");
            counter!(FACTS, "source" => source)
        };
        Self {
            validations: reasons.map(validation).collect(),
            facts: sources.map(source).collect(),
            active: counter!(INTROSPECTIONS, "active" => "true"),
            inactive: counter!(INTROSPECTIONS, "active" => "false"),
        }
    }

    pub(crate) fn validated(&self, question: &Question<'_>, verdict: &Verdict) {
        let number = usize::try_from(verdict.reason as i32).unwrap_or_default();
        if let Some(counter) = self.validations.get(number) {
            counter.increment(1);
        }
        let source = usize::try_from(verdict.freshness.source as i32).unwrap_or_default();
        if let Some(counter) = self.facts.get(source) {
            counter.increment(1);
        }
        let (resource, reason) = (question.resource.id(), verdict.reason.as_str_name());
        let (client_id, binding_ref) = described(verdict.token.as_deref().map(Deref::deref));
        if verdict.decision() == Decision::Allow {
            tracing::debug!(target: AUDIT, event = "token_allowed", resource, reason, client_id, binding_ref = binding_ref(), "token allowed");
        } else {
            tracing::info!(target: AUDIT, event = "token_refused", resource, reason, client_id, binding_ref = binding_ref(), "token refused");
        }
    }

    pub(crate) fn introspected(&self, caller: &Resource, active: Option<&TokenFacts>) {
        let counter = if active.is_some() { &self.active } else { &self.inactive };
        counter.increment(1);
        let (client_id, binding_ref) = described(active);
        let (resource, active) = (caller.id(), active.is_some());
        tracing::debug!(target: AUDIT, event = "token_introspected", resource, active, client_id, binding_ref = binding_ref(), "token introspected");
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
