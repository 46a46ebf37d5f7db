//! What faults may have lost.

use crate::history::event::{Event, Fault, History, Loss, Micros};

pub(super) struct Losses<'a> {
    lossy: Vec<&'a Fault>,
}

impl<'a> Losses<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let lossy = history.faults.iter().filter(|fault| fault.loss != Loss::Nothing);
        Self { lossy: lossy.collect() }
    }

    /// The fault that may have lost what this call wrote without waiting for a replica, before `now`.
    pub(super) fn of_write(&self, write: &Event, now: Micros) -> Option<&'a Fault> {
        self.before(now)
            .find(|fault| write.start <= fault.end && (loses_all(fault) || is_behind(fault, write)))
    }

    /// The fault that may have turned back what this call wrote without waiting for a replica, before `now`: of a store that is
    /// empty nothing comes back.
    pub(super) fn turned_back(&self, write: &Event, now: Micros) -> Option<&'a Fault> {
        self.before(now)
            .find(|fault| write.start <= fault.end && is_behind(fault, write))
    }

    /// The fault in which this token was issued or refused by a wrong clock.
    pub(super) fn misjudged(&self, issue: &Event, denied: &Event) -> Option<&'a Fault> {
        let during = |event: &Event, fault: &Fault| event.start <= fault.end && event.end >= fault.start;
        self.lossy
            .iter()
            .copied()
            .find(|fault| fault.loss == Loss::Misjudged && (during(issue, fault) || during(denied, fault)))
    }

    /// The fault that may have taken the list by which a revocation finds this token.
    pub(super) fn of_list(&self, issue: &Event, revocation: &Event) -> Option<&'a Fault> {
        self.before(revocation.end)
            .find(|fault| fault.loss == Loss::AnyKey && issue.start <= fault.end)
    }

    /// Whether the store passed to a replica between the two.
    pub(super) fn failed_over(&self, after: Micros, now: Micros) -> bool {
        self.before(now)
            .any(|fault| matches!(fault.loss, Loss::SinceUnreplicated(_)) && fault.end >= after)
    }

    fn before(&self, now: Micros) -> impl Iterator<Item = &'a Fault> + '_ {
        self.lossy.iter().copied().filter(move |fault| fault.start <= now)
    }
}

fn loses_all(fault: &Fault) -> bool {
    matches!(fault.loss, Loss::Everything | Loss::AnyKey)
}

fn is_behind(fault: &Fault, write: &Event) -> bool {
    matches!(fault.loss, Loss::SinceUnreplicated(from) if write.end >= from)
}
