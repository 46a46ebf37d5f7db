//! What was promised, held against what happened.
//!
//! Every judgement errs on the side of the services: what overlaps in time may have happened in either order, and a call that
//! failed may have been done. What is a violation here cannot be explained by any order.

mod lives;
mod losses;
mod served;
mod single_use;
#[cfg(test)]
mod tests;
mod verdicts;

use std::collections::BTreeMap;
use std::fmt;

use super::event::{Answer, Call, History, Micros};
use lives::Lives;
use losses::Losses;

/// A promise of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// No allow begins later than the bound after its token's end was acknowledged: by a revocation, a newer token in its slot,
    /// or its own end.
    NoOneIn,
    /// What was once denied as dead, after its end was acknowledged, is never allowed or issued again.
    NoResurrection,
    /// What was acknowledged as issued is good until something in the history can have ended it, or a fault lost it that may.
    NothingLost,
    /// A refresh token or an assertion is good for one use, and a refresh token has one successor.
    SingleUse,
    /// A revocation that was acknowledged survives what it was promised to survive, and is not acknowledged where it would not.
    Honest,
    /// Without a fault, and in a gentle one, every call is answered.
    Served,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoOneIn => "no one in",
            Self::NoResurrection => "no resurrection",
            Self::NothingLost => "nothing lost",
            Self::SingleUse => "single use",
            Self::Honest => "honest",
            Self::Served => "served",
        })
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Its events, by their numbers in the history, in the order in which they make the case.
    pub events: Vec<usize>,
    /// The case.
    pub text: String,
}

/// What the history was about, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls by what was asked and what came back.
    pub calls: BTreeMap<(&'static str, &'static str), usize>,
    /// Faults by their names.
    pub faults: BTreeMap<String, usize>,
    /// What was done beside them, by its name.
    pub plagues: BTreeMap<String, usize>,
    /// Access tokens that were acknowledged, and that a fault of this name lost.
    pub lost_tokens: BTreeMap<String, usize>,
    /// Refresh tokens likewise.
    pub lost_refresh_tokens: BTreeMap<String, usize>,
    /// Tokens that a newer one had replaced, and that were good again because a fault of this name lost the newer one.
    pub undone_supersessions: BTreeMap<String, usize>,
    /// Uses that a fault of this name lost, so that a refresh token or an assertion was good for one more.
    pub forgotten_uses: BTreeMap<String, usize>,
    /// The longest that a call which was allowed began after its token's revocation was acknowledged.
    pub latest_allow: Micros,
    /// The longest that a watch went on after its token's end was acknowledged.
    pub latest_watch: Micros,
}

/// What is to be said of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// Figures.
    pub figures: Figures,
}

impl Judgement {
    fn violated(&mut self, invariant: Invariant, events: &[usize], text: impl Into<String>) {
        self.violations.push(Violation {
            invariant,
            events: events.to_vec(),
            text: text.into(),
        });
    }

    /// The promises that were broken, each once.
    pub fn broken(&self) -> Vec<Invariant> {
        let mut broken: Vec<_> = self.violations.iter().map(|violation| violation.invariant).collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }
}

/// Judges a history.
pub fn check(history: &History) -> Judgement {
    let mut judgement = Judgement::default();
    count(history, &mut judgement.figures);
    let losses = Losses::of(history);
    let lives = Lives::of(history);
    verdicts::check(history, &lives, &losses, &mut judgement);
    single_use::check(history, &lives, &losses, &mut judgement);
    served::check(history, &mut judgement);
    judgement
}

fn count(history: &History, figures: &mut Figures) {
    for event in &history.events {
        *figures
            .calls
            .entry((asked(&event.call), answered(&event.answer)))
            .or_default() += 1;
    }
    for fault in &history.faults {
        *figures.faults.entry(fault.fault.clone()).or_default() += 1;
    }
    for plague in &history.plagues {
        *figures.plagues.entry(plague.plague.clone()).or_default() += 1;
    }
}

fn asked(call: &Call) -> &'static str {
    match call {
        Call::Issue { .. } => "issue",
        Call::Refresh { .. } => "refresh",
        Call::Assert { .. } => "assert",
        Call::RevokeToken { .. } => "revoke token",
        Call::RevokeLogin { .. } => "revoke login",
        Call::RevokeBinding { .. } => "revoke binding",
        Call::RevokeSubject { .. } => "revoke subject",
        Call::RevokeApplication { .. } => "revoke application",
        Call::Validate { as_of_now: false, .. } => "validate",
        Call::Validate { as_of_now: true, .. } => "validate as of now",
        Call::Watch { .. } => "watch",
    }
}

fn answered(answer: &Answer) -> &'static str {
    match answer {
        Answer::Issued { .. } => "issued",
        Answer::Revoked => "revoked",
        Answer::Allowed => "allowed",
        Answer::Denied { .. } => "denied",
        Answer::Refused { .. } => "refused",
        Answer::Failed { .. } => "failed",
    }
}
