//! Single use, and that no refresh token is lost.

use std::collections::{BTreeMap, BTreeSet};

use super::lives::{Lives, RefreshLife};
use super::losses::Losses;
use super::{Invariant, Judgement};
use crate::history::event::{Answer, Call, History, Micros, RefreshNumber};

/// What is done to keys, and until when at most a new one is used.
const ROTATED: &str = "keys rotated";
const ROTATION_TAKES: Micros = 30_000_000;

pub(super) fn check(history: &History, lives: &Lives, losses: &Losses<'_>, judgement: &mut Judgement) {
    let mut assertions: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, event) in history.events.iter().enumerate() {
        if let (Call::Assert { assertion }, Answer::Issued { .. }) = (&event.call, &event.answer) {
            assertions.entry(*assertion).or_default().push(number);
        }
    }
    for (assertion, won) in assertions {
        let text = format!("assertion {assertion} was good for {} uses", won.len());
        at_most(1, &won, history, losses, judgement, text);
    }
    for (refresh, life) in &lives.refresh_tokens {
        won(*refresh, life, history, losses, judgement);
        lost(*refresh, life, lives, history, losses, judgement);
    }
}

fn won(refresh: RefreshNumber, life: &RefreshLife, history: &History, losses: &Losses<'_>, judgement: &mut Judgement) {
    let mut won = Vec::new();
    let mut successors = BTreeSet::new();
    for number in &life.uses {
        if let Answer::Issued { refresh, .. } = history.events[*number].answer {
            won.push(*number);
            successors.extend(refresh);
        }
    }
    if successors.len() > 1 && !is_derived_anew(&won, history, losses) {
        let text = format!("refresh token {refresh} has {} successors", successors.len());
        judgement.violated(Invariant::SingleUse, &won, text);
    }
    let text = format!("refresh token {refresh} was good for {} uses", won.len());
    at_most(1 + history.promises.grace_uses, &won, history, losses, judgement, text);
}

/// The successor of a use that a fault has made forgotten is derived again, and with another key if the keys were rotated meanwhile.
fn is_derived_anew(won: &[usize], history: &History, losses: &Losses<'_>) -> bool {
    let uses = || won.iter().map(|number| &history.events[*number]);
    let (Some(first), Some(last)) = (
        uses().map(|event| event.start).min(),
        uses().map(|event| event.end).max(),
    ) else {
        return false;
    };
    let rotated = |what: &str, start| what == ROTATED && start <= last && start + ROTATION_TAKES >= first;
    let rotated = history
        .plagues
        .iter()
        .any(|plague| rotated(&plague.plague, plague.start))
        || history.faults.iter().any(|fault| rotated(&fault.fault, fault.start));
    rotated && uses().any(|event| losses.of_write(event, last).is_some())
}

/// More uses than these are a violation, unless a fault may have lost one of them before the last.
fn at_most(
    uses: usize,
    won: &[usize],
    history: &History,
    losses: &Losses<'_>,
    judgement: &mut Judgement,
    text: String,
) {
    if won.len() <= uses {
        return;
    }
    let last = won.iter().map(|number| history.events[*number].end).max().unwrap_or(0);
    let forgotten = won
        .iter()
        .find_map(|number| losses.of_write(&history.events[*number], last));
    if let Some(fault) = forgotten {
        let uses = &mut judgement.figures.forgotten_uses;
        *uses.entry(fault.fault.clone()).or_default() += 1;
    } else {
        judgement.violated(Invariant::SingleUse, won, text);
    }
}

/// The first use of a refresh token is refused only where its login may have ended.
fn lost(
    refresh: RefreshNumber,
    life: &RefreshLife,
    lives: &Lives,
    history: &History,
    losses: &Losses<'_>,
    judgement: &mut Judgement,
) {
    let Some(first) = life.uses.first() else {
        return;
    };
    let event = &history.events[*first];
    let Answer::Refused { reason } = &event.answer else {
        return;
    };
    let doubted = lives
        .login_of(refresh)
        .is_none_or(|login| event.end >= login.doubted_from);
    if doubted {
        return;
    }
    if let Some(fault) = losses.of_write(&history.events[life.issue], event.end) {
        let lost = &mut judgement.figures.lost_refresh_tokens;
        *lost.entry(fault.fault.clone()).or_default() += 1;
        return;
    }
    let text = format!("refresh token {refresh} was refused ({reason}) although nothing can have ended it");
    judgement.violated(Invariant::NothingLost, &[life.issue, *first], text);
}
