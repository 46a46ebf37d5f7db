//! No one in, no resurrection, nothing lost, and the half of honesty that a failover shows.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::lives::{Death, Life, Lives};
use super::losses::Losses;
use super::{Invariant, Judgement};
use crate::history::event::{Answer, Call, Event, History, Micros, Slot, TokenNumber};

/// What it may take to tell a client what a validator knows.
const TELLING: Micros = 5_000_000;

pub(super) fn check(history: &History, lives: &Lives, losses: &Losses<'_>, judgement: &mut Judgement) {
    let mut checker = Checker {
        history,
        losses,
        judgement,
        denied: HashMap::new(),
        lost: HashSet::new(),
        undone: HashSet::new(),
    };
    for (number, event) in history.events.iter().enumerate() {
        let token = match (&event.call, &event.answer) {
            (Call::Validate { token, .. } | Call::Watch { token, .. }, _) | (_, Answer::Issued { token, .. }) => *token,
            _ => continue,
        };
        let Some(life) = lives.tokens.get(&token) else {
            continue;
        };
        checker.look(number, token, life);
    }
    one_in_a_slot(history, lives, losses, judgement);
}

struct Checker<'a, 'b> {
    history: &'a History,
    losses: &'b Losses<'a>,
    judgement: &'b mut Judgement,
    /// Which validator has refused a token after which end was acknowledged, in which call.
    denied: HashMap<(TokenNumber, usize), Vec<usize>>,
    lost: HashSet<TokenNumber>,
    undone: HashSet<TokenNumber>,
}

impl Checker<'_, '_> {
    fn look(&mut self, number: usize, token: TokenNumber, life: &Life) {
        let event = &self.history.events[number];
        match (&event.call, &event.answer) {
            (
                Call::Validate {
                    validator, as_of_now, ..
                },
                Answer::Allowed,
            ) => {
                let bound = if *as_of_now { 0 } else { self.history.promises.bound };
                self.allowed(number, token, life, *validator, bound);
            }
            (Call::Validate { validator, .. }, Answer::Denied { reason }) => {
                let known = life.deaths.iter().any(|death| death.at <= event.start);
                if known {
                    self.denied.entry((token, *validator)).or_default().push(number);
                }
                self.denied(number, token, life, reason);
            }
            (Call::Watch { .. }, _) => self.watched(number, life),
            (_, Answer::Issued { .. }) => self.issued(number, life),
            _ => {}
        }
    }

    fn allowed(&mut self, number: usize, token: TokenNumber, life: &Life, validator: usize, bound: Micros) {
        let event = &self.history.events[number];
        if event.start > life.expires.1 {
            self.judgement.violated(
                Invariant::NoOneIn,
                &[life.issue, number],
                format!("token {token} was allowed after its own end"),
            );
        }
        for death in life.deaths.iter().filter(|death| death.at < event.start) {
            let late = event.start - death.at;
            if !death.superseded {
                let latest = &mut self.judgement.figures.latest_allow;
                *latest = late.max(*latest);
            }
            let denied = self.denied.get(&(token, validator)).and_then(|numbers| {
                let before = |number: &&usize| {
                    let denied = &self.history.events[**number];
                    denied.end < event.start && denied.start >= death.at
                };
                numbers.iter().find(before).copied()
            });
            if denied.is_none() && late <= bound {
                continue;
            }
            if self.is_missed(death, life) {
                continue;
            }
            if self.is_undone(death, event.end) {
                if self.undone.insert(token) {
                    self.count_undone(death, event.end);
                }
                continue;
            }
            let (invariant, why) = if let Some(denied) = denied {
                let text = format!("token {token} was allowed by validator {validator}, which had refused it");
                self.judgement.violated(
                    Invariant::NoResurrection,
                    &[life.issue, death.event, denied, number],
                    text,
                );
                return;
            } else if !death.superseded && self.losses.failed_over(death.at, event.end) {
                (
                    Invariant::Honest,
                    "its end was acknowledged and did not survive the primary",
                )
            } else {
                (Invariant::NoOneIn, "its end was acknowledged before")
            };
            let text = format!(
                "token {token} was allowed by validator {validator} in a call that began {} ms after {why}",
                late / 1_000
            );
            self.judgement
                .violated(invariant, &[life.issue, death.event, number], text);
            return;
        }
    }

    /// Where any key may be gone, the list of a subject may be, by which a device or a subject is revoked: then the token lives.
    fn is_missed(&self, death: &Death, life: &Life) -> bool {
        let (issue, revocation) = (&self.history.events[life.issue], &self.history.events[death.event]);
        let by_list = matches!(revocation.call, Call::RevokeBinding { .. } | Call::RevokeSubject { .. });
        by_list && self.losses.of_list(issue, revocation).is_some()
    }

    /// A newer token is written without waiting for a replica, so a failover can bring back the one before.
    fn is_undone(&self, death: &Death, now: Micros) -> bool {
        let replicated = self.history.promises.replicated && !death.superseded;
        !replicated
            && self
                .losses
                .turned_back(&self.history.events[death.event], now)
                .is_some()
    }

    fn count_undone(&mut self, death: &Death, now: Micros) {
        if let Some(fault) = self.losses.turned_back(&self.history.events[death.event], now) {
            let undone = &mut self.judgement.figures.undone_supersessions;
            *undone.entry(fault.fault.clone()).or_default() += 1;
        }
    }

    fn denied(&mut self, number: usize, token: TokenNumber, life: &Life, reason: &str) {
        let event = &self.history.events[number];
        let issue = &self.history.events[life.issue];
        let excused = event.start < issue.end || event.end >= life.expires.0 || event.end >= life.doubted_from;
        if excused || self.lost.contains(&token) {
            return;
        }
        let losses = self.losses;
        if let Some(fault) = losses
            .of_write(issue, event.end)
            .or_else(|| losses.misjudged(issue, event))
        {
            self.lost.insert(token);
            let lost = &mut self.judgement.figures.lost_tokens;
            *lost.entry(fault.fault.clone()).or_default() += 1;
            return;
        }
        let text = format!("token {token} was refused ({reason}) although nothing can have ended it");
        self.judgement
            .violated(Invariant::NothingLost, &[life.issue, number], text);
    }

    /// A token that is answered is live.
    fn issued(&mut self, number: usize, life: &Life) {
        let event = &self.history.events[number];
        let known = |death: &Death| match self.history.events[death.event].call {
            Call::RevokeApplication { .. } => death.at + self.history.promises.issuers_behind,
            _ => death.at,
        };
        let mut dead = life.deaths.iter().filter(|death| known(death) < event.start);
        if let Some(death) = dead.find(|death| !self.is_missed(death, life))
            && !self.is_undone(death, event.end)
        {
            let events = [life.issue, death.event, number];
            let text = "a token was issued again whose end was acknowledged before";
            self.judgement.violated(Invariant::NoResurrection, &events, text);
        }
    }

    fn watched(&mut self, number: usize, life: &Life) {
        let event = &self.history.events[number];
        let Some(death) = life.deaths.iter().find(|death| death.at >= event.start) else {
            return;
        };
        let waited = event.end.saturating_sub(death.at);
        let stalled = |from: Micros, to: Micros| {
            let mut stalls = self.history.stalls.iter();
            stalls.any(|stall| stall.end >= from && stall.start <= to)
        };
        if self.is_undone(death, event.end) || stalled(death.at, event.end) {
            return;
        }
        let latest = &mut self.judgement.figures.latest_watch;
        *latest = waited.max(*latest);
        if waited > self.history.promises.bound + TELLING {
            let text = format!(
                "a watch went on for {} ms after its token's end was acknowledged",
                waited / 1_000
            );
            self.judgement
                .violated(Invariant::NoOneIn, &[life.issue, death.event, number], text);
        }
    }
}

/// Two tokens that were issued to a slot at the same time: one of them is dead, whichever it is.
fn one_in_a_slot(history: &History, lives: &Lives, losses: &Losses<'_>, judgement: &mut Judgement) {
    let mut last_allowed: HashMap<TokenNumber, usize> = HashMap::new();
    for (number, event) in history.events.iter().enumerate() {
        if let (Call::Validate { token, .. }, Answer::Allowed) = (&event.call, &event.answer) {
            let last = last_allowed.entry(*token).or_insert(number);
            if history.events[*last].start < event.start {
                *last = number;
            }
        }
    }
    let mut slots: BTreeMap<Slot, Vec<(TokenNumber, &Life)>> = BTreeMap::new();
    for (token, life) in &lives.tokens {
        if let Some(slot) = life.slot {
            slots.entry(slot).or_default().push((*token, life));
        }
    }
    let issue = |life: &Life| -> &Event { &history.events[life.issue] };
    for tokens in slots.values_mut() {
        tokens.sort_by_key(|(_, life)| issue(life).start);
        for (index, (first, one)) in tokens.iter().enumerate() {
            let together = tokens[index + 1..]
                .iter()
                .take_while(|(_, other)| issue(other).start < issue(one).end);
            for (second, other) in together {
                let from = issue(one).end.max(issue(other).end) + history.promises.bound;
                let (Some(a), Some(b)) = (last_allowed.get(first), last_allowed.get(second)) else {
                    continue;
                };
                let late = |number: &usize| history.events[*number].start > from;
                let now = history.events[*a].end.max(history.events[*b].end);
                let turned_back = [one, other]
                    .iter()
                    .any(|life| losses.turned_back(issue(life), now).is_some());
                if late(a) && late(b) && !turned_back {
                    let text = format!("tokens {first} and {second} of one slot were both good");
                    judgement.violated(Invariant::NoOneIn, &[one.issue, other.issue, *a, *b], text);
                }
            }
        }
    }
}
