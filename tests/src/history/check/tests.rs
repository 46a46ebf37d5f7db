//! Histories made by hand: each promise has at least one that breaks it, and beside it the ones that do not.

use super::{Invariant, check};
use crate::history::event::{
    Answer, Call, Event, Fault, Gentleness, History, Loss, Micros, Plague, Promises, Slot, Stall,
};

const SECOND: Micros = 1_000_000;
const BOUND: Micros = 2 * SECOND;
const HERE: Slot = Slot {
    application: 0,
    subject: 0,
    device: 0,
};
const ELSEWHERE: Slot = Slot { device: 1, ..HERE };

/// A history in which every call takes a tenth of a second and begins at the second that is given.
struct Story(History);

impl Story {
    fn new() -> Self {
        Self(History {
            promises: Promises {
                bound: BOUND,
                replicated: true,
                issuers_behind: 2 * SECOND,
                grace_uses: 0,
            },
            events: Vec::new(),
            faults: Vec::new(),
            plagues: Vec::new(),
            stalls: Vec::new(),
            starved: Vec::new(),
        })
    }

    fn call(self, second: u64, call: Call, answer: Answer) -> Self {
        self.lasting(second * SECOND, second * SECOND + SECOND / 10, call, answer)
    }

    fn lasting(mut self, start: Micros, end: Micros, call: Call, answer: Answer) -> Self {
        self.0.events.push(Event {
            start,
            end,
            call,
            answer,
        });
        self
    }

    fn issue(self, second: u64, token: usize) -> Self {
        self.call(second, Call::Issue { slot: HERE }, token_alone(token))
    }

    fn login(self, second: u64, token: usize, refresh: usize) -> Self {
        self.call(second, Call::Issue { slot: HERE }, with_refresh(token, refresh))
    }

    fn refresh(self, second: u64, refresh: usize, answer: Answer) -> Self {
        self.call(second, Call::Refresh { slot: HERE, refresh }, answer)
    }

    fn revoke(self, second: u64, token: usize) -> Self {
        self.call(second, Call::RevokeToken { token }, Answer::Revoked)
    }

    fn ask(self, second: u64, token: usize, validator: usize, answer: Answer) -> Self {
        let call = Call::Validate {
            token,
            validator,
            as_of_now: false,
        };
        self.call(second, call, answer)
    }

    fn allowed(self, second: u64, token: usize) -> Self {
        self.ask(second, token, 0, Answer::Allowed)
    }

    fn denied(self, second: u64, token: usize) -> Self {
        self.ask(second, token, 0, denied())
    }

    fn fault(mut self, start: u64, end: u64, loss: Loss) -> Self {
        self.0.faults.push(Fault {
            fault: "test".to_owned(),
            start: start * SECOND,
            end: end * SECOND,
            loss,
            gentleness: Gentleness::Rough,
            without_replicas: None,
        });
        self
    }

    #[track_caller]
    fn breaks(&self, invariant: Invariant) {
        assert_eq!(check(&self.0).broken(), [invariant], "{:#?}", check(&self.0));
    }

    #[track_caller]
    fn holds(&self) {
        assert_eq!(check(&self.0).violations, []);
    }
}

fn token_alone(token: usize) -> Answer {
    Answer::Issued {
        token,
        refresh: None,
        expires_in: 3_600,
    }
}

fn with_refresh(token: usize, refresh: usize) -> Answer {
    Answer::Issued {
        token,
        refresh: Some(refresh),
        expires_in: 3_600,
    }
}

fn denied() -> Answer {
    Answer::Denied {
        reason: "REASON_TOKEN_NOT_LIVE".to_owned(),
    }
}

fn refused() -> Answer {
    Answer::Refused {
        reason: "invalid_grant".to_owned(),
    }
}

fn failed() -> Answer {
    Answer::Failed {
        why: "unavailable".to_owned(),
    }
}

#[test]
fn no_one_in_an_allow_within_the_bound_is_none() {
    Story::new()
        .issue(0, 1)
        .allowed(1, 1)
        .revoke(2, 1)
        .allowed(4, 1)
        .holds();
}

#[test]
fn no_one_in_an_allow_beyond_the_bound_is() {
    Story::new()
        .issue(0, 1)
        .revoke(2, 1)
        .allowed(5, 1)
        .breaks(Invariant::NoOneIn);
}

#[test]
fn no_one_in_a_call_as_of_now_has_no_bound() {
    let call = Call::Validate {
        token: 1,
        validator: 0,
        as_of_now: true,
    };
    let story = Story::new().issue(0, 1).revoke(2, 1).call(3, call, Answer::Allowed);
    story.breaks(Invariant::NoOneIn);
}

#[test]
fn no_one_in_whatever_revoked_it() {
    let revocations = [
        Call::RevokeBinding { slot: HERE },
        Call::RevokeSubject {
            application: 0,
            subject: 0,
        },
        Call::RevokeApplication { application: 0 },
    ];
    for call in revocations {
        let story = Story::new().issue(0, 1).call(1, call, Answer::Revoked).allowed(5, 1);
        story.breaks(Invariant::NoOneIn);
    }
    let login = Call::RevokeLogin { refresh: 1 };
    let story = Story::new()
        .login(0, 1, 1)
        .refresh(1, 1, with_refresh(2, 2))
        .call(2, login, Answer::Revoked)
        .allowed(6, 2);
    story.breaks(Invariant::NoOneIn);
}

#[test]
fn no_one_in_elsewhere_is_not_here() {
    let revocations = [
        Call::RevokeBinding { slot: ELSEWHERE },
        Call::RevokeSubject {
            application: 0,
            subject: 1,
        },
        Call::RevokeApplication { application: 1 },
    ];
    for call in revocations {
        let story = Story::new().issue(0, 1).call(1, call, Answer::Revoked).allowed(5, 1);
        story.holds();
    }
}

#[test]
fn no_one_in_what_was_issued_meanwhile_may_live() {
    let story = Story::new()
        .lasting(SECOND, 3 * SECOND, Call::Issue { slot: HERE }, token_alone(1))
        .lasting(
            2 * SECOND,
            4 * SECOND,
            Call::RevokeBinding { slot: HERE },
            Answer::Revoked,
        );
    story.allowed(8, 1).holds();
}

#[test]
fn no_one_in_a_revocation_that_failed_promises_nothing() {
    let story = Story::new()
        .issue(0, 1)
        .fault(1, 2, Loss::Nothing)
        .call(1, Call::RevokeToken { token: 1 }, failed());
    story.allowed(9, 1).holds();
}

#[test]
fn no_one_in_a_newer_token_ends_the_older() {
    Story::new().issue(0, 1).issue(1, 2).allowed(2, 1).allowed(2, 2).holds();
    Story::new()
        .issue(0, 1)
        .issue(1, 2)
        .allowed(5, 1)
        .breaks(Invariant::NoOneIn);
}

#[test]
fn no_one_in_of_two_at_the_same_time_one_lives() {
    let together = || {
        let call = || Call::Issue { slot: HERE };
        Story::new()
            .lasting(SECOND, 3 * SECOND, call(), token_alone(1))
            .lasting(2 * SECOND, 4 * SECOND, call(), token_alone(2))
    };
    together().allowed(7, 1).denied(7, 2).holds();
    together().allowed(7, 1).allowed(7, 2).breaks(Invariant::NoOneIn);
}

#[test]
fn no_one_in_a_token_ends_by_itself() {
    Story::new().issue(0, 1).allowed(3_590, 1).holds();
    Story::new().issue(0, 1).denied(3_600, 1).holds();
    Story::new().issue(0, 1).allowed(3_605, 1).breaks(Invariant::NoOneIn);
}

#[test]
fn no_one_in_a_watch_ends() {
    let watch = |from, to, answer| {
        let call = Call::Watch { token: 1, validator: 0 };
        Story::new()
            .issue(0, 1)
            .revoke(2, 1)
            .lasting(from * SECOND, to * SECOND, call, answer)
    };
    watch(1, 3, denied()).holds();
    watch(1, 60, denied()).breaks(Invariant::NoOneIn);
    watch(1, 60, Answer::Allowed).breaks(Invariant::NoOneIn);
    let mut stalled = watch(1, 60, denied());
    stalled.0.stalls.push(Stall {
        start: 3 * SECOND,
        end: 59 * SECOND,
    });
    stalled.holds();
}

#[test]
fn no_resurrection_what_a_validator_refused_it_does_not_allow() {
    let story = Story::new().issue(0, 1).revoke(1, 1).denied(2, 1);
    story.allowed(3, 1).breaks(Invariant::NoResurrection);
    // Another one may be behind, within the bound.
    let story = Story::new().issue(0, 1).revoke(1, 1).denied(2, 1);
    story.ask(3, 1, 1, Answer::Allowed).holds();
}

#[test]
fn no_resurrection_a_dead_token_is_not_issued() {
    let story = Story::new().issue(0, 1).revoke(1, 1).issue(2, 1);
    story.breaks(Invariant::NoResurrection);
    // An opaque one that lives is.
    Story::new().issue(0, 1).issue(2, 1).allowed(3, 1).holds();
}

/// An issuer that has not heard of it issues what is dead; that nobody is let in with it is another promise.
#[test]
fn no_resurrection_issuers_may_be_behind_for_a_while() {
    let revoked = || {
        let call = Call::RevokeApplication { application: 0 };
        Story::new().issue(0, 1).call(1, call, Answer::Revoked)
    };
    revoked().issue(2, 1).holds();
    revoked().issue(2, 2).denied(3, 2).holds();
    revoked().issue(2, 1).allowed(5, 1).breaks(Invariant::NoOneIn);
    revoked().issue(5, 1).breaks(Invariant::NoResurrection);
    revoked().issue(5, 2).denied(6, 2).breaks(Invariant::NothingLost);
}

#[test]
fn nothing_lost_a_token_is_good_until_its_end() {
    Story::new().issue(0, 1).denied(1, 1).breaks(Invariant::NothingLost);
    Story::new().issue(0, 1).revoke(1, 1).denied(2, 1).holds();
    Story::new().issue(0, 1).issue(1, 2).denied(2, 1).holds();
}

#[test]
fn nothing_lost_what_failed_may_have_been_done() {
    let revoked = |end| {
        let story = Story::new().fault(1, 2, Loss::Nothing).issue(0, 1);
        story.lasting(SECOND, end, Call::RevokeToken { token: 1 }, failed())
    };
    revoked(2 * SECOND).denied(9, 1).holds();
    let story = Story::new().fault(1, 2, Loss::Nothing);
    let story = story.call(1, Call::Issue { slot: HERE }, failed());
    // Not for ever.
    story.issue(30, 1).denied(31, 1).breaks(Invariant::NothingLost);
}

#[test]
fn nothing_lost_but_by_what_may_lose() {
    let story = |loss| Story::new().issue(0, 1).fault(5, 6, loss).denied(7, 1);
    story(Loss::Nothing).breaks(Invariant::NothingLost);
    story(Loss::SinceUnreplicated(2 * SECOND)).breaks(Invariant::NothingLost);
    for loss in [Loss::Everything, Loss::AnyKey, Loss::SinceUnreplicated(0)] {
        let story = story(loss);
        story.holds();
        assert_eq!(check(&story.0).figures.lost_tokens["test"], 1);
    }
    // Not before it began, nor what was issued after it.
    let early = Story::new().issue(0, 1).denied(2, 1).fault(5, 6, Loss::Everything);
    early.breaks(Invariant::NothingLost);
    let late = Story::new().fault(5, 6, Loss::Everything).issue(7, 1).denied(8, 1);
    late.breaks(Invariant::NothingLost);
}

#[test]
fn nothing_lost_but_by_a_wrong_clock() {
    let story = |issued, refused| {
        let story = Story::new().issue(issued, 1).fault(5, 6, Loss::Misjudged);
        story.denied(refused, 1)
    };
    story(0, 5).holds();
    story(6, 8).holds();
    story(0, 8).breaks(Invariant::NothingLost);
    story(7, 8).breaks(Invariant::NothingLost);
}

#[test]
fn nothing_lost_a_refresh_token_is_good_for_its_first_use() {
    let story = || Story::new().login(0, 1, 1);
    story().refresh(1, 1, refused()).breaks(Invariant::NothingLost);
    let ended = story().call(1, Call::RevokeLogin { refresh: 1 }, Answer::Revoked);
    ended.refresh(2, 1, refused()).holds();
    let lost = story().fault(1, 2, Loss::Everything).refresh(3, 1, refused());
    lost.holds();
    assert_eq!(check(&lost.0).figures.lost_refresh_tokens["test"], 1);
}

#[test]
fn single_use_a_refresh_token_wins_once() {
    let story = || Story::new().login(0, 1, 1).refresh(1, 1, with_refresh(2, 2));
    story().refresh(2, 1, refused()).holds();
    story().refresh(2, 1, with_refresh(3, 2)).breaks(Invariant::SingleUse);
    let mut graceful = story().refresh(2, 1, with_refresh(3, 2));
    graceful.0.promises.grace_uses = 1;
    graceful.holds();
    let mut fork = story().refresh(2, 1, with_refresh(3, 3));
    fork.0.promises.grace_uses = 1;
    fork.breaks(Invariant::SingleUse);
}

#[test]
fn single_use_a_fault_may_forget_a_use_but_not_the_successor() {
    let story = |successor| {
        Story::new()
            .login(0, 1, 1)
            .refresh(1, 1, with_refresh(2, 2))
            .fault(2, 3, Loss::SinceUnreplicated(SECOND))
            .refresh(4, 1, with_refresh(3, successor))
    };
    story(2).holds();
    assert_eq!(check(&story(2).0).figures.forgotten_uses["test"], 1);
    story(3).breaks(Invariant::SingleUse);
    // With another key, it has another text.
    let rotated = |mut story: Story| {
        story.0.plagues.push(Plague {
            plague: "keys rotated".to_owned(),
            start: 3 * SECOND,
            end: 3 * SECOND,
            validator: None,
        });
        story
    };
    rotated(story(3)).holds();
    let not_forgotten = Story::new().login(0, 1, 1).refresh(1, 1, with_refresh(2, 2));
    rotated(not_forgotten.refresh(4, 1, with_refresh(3, 3))).breaks(Invariant::SingleUse);
}

#[test]
fn single_use_an_assertion_wins_once() {
    let story = || {
        let call = || Call::Assert { assertion: 1 };
        Story::new().call(0, call(), token_alone(1)).call(1, call(), refused())
    };
    story().holds();
    let call = Call::Assert { assertion: 1 };
    story().call(2, call, token_alone(2)).breaks(Invariant::SingleUse);
}

#[test]
fn no_one_in_but_where_a_list_was_evicted() {
    let subject = || Call::RevokeSubject {
        application: HERE.application,
        subject: HERE.subject,
    };
    let story = |loss| {
        let issued = Story::new().issue(0, 1).fault(1, 2, loss);
        issued.call(3, subject(), Answer::Revoked)
    };
    story(Loss::AnyKey).allowed(8, 1).holds();
    story(Loss::Nothing).allowed(8, 1).breaks(Invariant::NoOneIn);
    // What is revoked by itself is found without the list, and what was issued later is on it.
    let alone = Story::new().issue(0, 1).fault(1, 2, Loss::AnyKey).revoke(3, 1);
    alone.allowed(8, 1).breaks(Invariant::NoOneIn);
    let later = Story::new().fault(0, 1, Loss::AnyKey).issue(2, 1);
    later
        .call(3, subject(), Answer::Revoked)
        .allowed(8, 1)
        .breaks(Invariant::NoOneIn);
}

#[test]
fn honest_what_was_acknowledged_survives_the_primary() {
    let story = || {
        let issued = Story::new().issue(0, 1).revoke(1, 1);
        issued.fault(2, 4, Loss::SinceUnreplicated(0)).allowed(5, 1)
    };
    story().breaks(Invariant::Honest);
    // Unless nothing else was promised.
    let mut alone = story();
    alone.0.promises.replicated = false;
    alone.holds();
}

#[test]
fn honest_a_newer_token_may_be_lost_and_the_older_is_back() {
    let story = Story::new()
        .issue(0, 1)
        .issue(1, 2)
        .fault(2, 4, Loss::SinceUnreplicated(SECOND))
        .allowed(5, 1)
        .denied(5, 2);
    story.holds();
    let figures = check(&story.0).figures;
    assert_eq!(
        (figures.undone_supersessions["test"], figures.lost_tokens["test"]),
        (1, 1)
    );
    // Of a store that is empty nothing comes back.
    let story = Story::new().issue(0, 1).issue(1, 2).fault(2, 4, Loss::Everything);
    story.allowed(5, 1).breaks(Invariant::NoOneIn);
}

#[test]
fn honest_nothing_is_acknowledged_without_replicas() {
    let mut story = Story::new().fault(1, 9, Loss::Nothing).issue(2, 1).revoke(3, 1);
    story.holds();
    story.0.faults[0].without_replicas = Some((SECOND, 9 * SECOND));
    story.breaks(Invariant::Honest);
    // One that had begun before may have been quick.
    story.0.faults[0].without_replicas = Some((3 * SECOND + 1, 9 * SECOND));
    story.holds();
}

#[test]
fn served_without_a_fault() {
    let call = || Call::Issue { slot: HERE };
    Story::new().call(5, call(), failed()).breaks(Invariant::Served);
    let rough = Story::new().fault(4, 6, Loss::Nothing).call(5, call(), failed());
    rough.holds();
    let mut gentle = rough;
    gentle.0.faults[0].gentleness = Gentleness::Gentle;
    gentle.breaks(Invariant::Served);
    gentle.0.stalls.push(Stall {
        start: 4 * SECOND,
        end: 6 * SECOND,
    });
    gentle.holds();
}

#[test]
fn served_where_a_service_had_a_processor() {
    let call = Call::Issue { slot: HERE };
    let starved = |mut story: Story| {
        story.0.starved.push(Stall {
            start: 4 * SECOND,
            end: 6 * SECOND,
        });
        story
    };
    starved(Story::new().lasting(5 * SECOND, 6 * SECOND, call.clone(), failed())).holds();
    // What failed at once failed for another reason.
    starved(Story::new().call(5, call.clone(), failed())).breaks(Invariant::Served);
    starved(Story::new().lasting(7 * SECOND, 8 * SECOND, call, failed())).breaks(Invariant::Served);
}

#[test]
fn served_by_all_validators_but_the_one_that_is_killed() {
    let failed_at = |second, validator| Story::new().issue(0, 1).ask(second, 1, validator, failed());
    let plagued = |mut story: Story| {
        story.0.plagues.push(Plague {
            plague: "test".to_owned(),
            start: 4 * SECOND,
            end: 6 * SECOND,
            validator: Some(2),
        });
        story
    };
    plagued(failed_at(5, 2)).holds();
    plagued(failed_at(5, 1)).breaks(Invariant::Served);
    plagued(failed_at(7, 2)).breaks(Invariant::Served);
    let issue = Story::new().call(5, Call::Issue { slot: HERE }, failed());
    plagued(issue).breaks(Invariant::Served);
}

#[test]
fn a_history_is_written_line_by_line_without_a_token() {
    let story = Story::new().issue(0, 1).fault(1, 2, Loss::AnyKey).allowed(3, 1);
    let lines = story.0.to_lines();
    assert_eq!(lines.lines().count(), 4);
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["call"], &last["answer"]),
        (&"validate".into(), &"allowed".into())
    );
}
