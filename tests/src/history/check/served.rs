//! Served, and the half of honesty that needs no failover.

use super::{Invariant, Judgement};
use crate::history::event::{Answer, Call, Event, Fault, Gentleness, History, Micros, Plague};

/// No call fails sooner because a service, or the store, had no processor: the time-outs for the store are longer.
const SLOW: Micros = 400_000;

pub(super) fn check(history: &History, judgement: &mut Judgement) {
    for (number, event) in history.events.iter().enumerate() {
        match &event.answer {
            // Validators that stop end their watches.
            _ if matches!(event.call, Call::Watch { .. }) => {}
            Answer::Failed { why } if is_to_be_served(history, event) => {
                let text = format!("a call failed where none has to: {why}");
                judgement.violated(Invariant::Served, &[number], text);
            }
            // Whoever is refused as itself is refused because something is gone that nobody took away.
            Answer::Refused { reason } if reason != "invalid_grant" && is_to_be_served(history, event) => {
                let text = format!("a call was refused where none has to be: {reason}");
                judgement.violated(Invariant::Served, &[number], text);
            }
            Answer::Revoked => {
                let alone = history.faults.iter().find(|fault| {
                    let alone = fault.without_replicas;
                    alone.is_some_and(|(from, to)| from <= event.start && event.end <= to)
                });
                if let Some(fault) = alone
                    && history.promises.replicated
                {
                    let text = format!(
                        "a revocation was acknowledged while no replica could hear of it ({})",
                        fault.fault
                    );
                    judgement.violated(Invariant::Honest, &[number], text);
                }
            }
            _ => {}
        }
    }
}

fn is_to_be_served(history: &History, event: &Event) -> bool {
    let rough = |fault: &&Fault| match fault.gentleness {
        Gentleness::Rough => true,
        Gentleness::Gentle => false,
        Gentleness::NothingIssued => matches!(
            event.call,
            Call::Issue { .. } | Call::Refresh { .. } | Call::Assert { .. }
        ),
    };
    let during = |start, end| event.start <= end && event.end >= start;
    let asked = match event.call {
        Call::Validate { validator, .. } => Some(validator),
        _ => None,
    };
    let killed = |plague: &Plague| plague.validator.is_some() && plague.validator == asked;
    let mut plagues = history.plagues.iter().filter(|plague| killed(plague));
    !history
        .faults
        .iter()
        .filter(rough)
        .any(|fault| during(fault.start, fault.end))
        && !plagues.any(|plague| during(plague.start, plague.end))
        && !history.stalls.iter().any(|stall| during(stall.start, stall.end))
        && (event.end - event.start < SLOW || !history.starved.iter().any(|stall| during(stall.start, stall.end)))
}
