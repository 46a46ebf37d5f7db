//! What every store promises of the counters of failed attempts (C12).

use std::time::Duration;

use tokenbind_index::{AttemptCounter, AttemptKey, AttemptKind, AttemptLimit};

use crate::harness::{Harness, on_every_store};

on_every_store!(
    free_failures_cost_nothing_and_then_delays_double,
    nothing_is_counted_while_a_counter_holds_up,
    failures_are_forgiven_one_after_the_other,
    counters_count_for_themselves,
    simultaneous_failures_are_all_counted,
    a_long_attack_is_forgiven_as_fast_as_a_short_one,
);

const LIMIT: AttemptLimit = AttemptLimit {
    free: 3,
    forgive_ms: 600_000,
    first_ms: 10_000,
    most_ms: 50_000,
};

fn counter(name: u8) -> AttemptCounter {
    AttemptCounter {
        key: AttemptKey::new(AttemptKind::Password, &[name; 32]),
        limit: LIMIT,
    }
}

/// A time that has passed in Redis since the call counts too.
#[track_caller]
fn assert_about(actual_ms: u64, expected_ms: u64) {
    let least = expected_ms.saturating_sub(5_000);
    assert!(
        (least..=expected_ms).contains(&actual_ms),
        "{actual_ms} instead of {expected_ms}"
    );
}

/// What a failure on the first counter says.
async fn fail(on: &Harness) -> (u64, u64) {
    let waits = on.attempts.count_failure(&[counter(1)]).await.expect("count");
    assert_eq!(waits.len(), 1);
    (waits[0].before_ms, waits[0].after_ms)
}

async fn wait(on: &Harness) -> u64 {
    on.attempts.waits(&[counter(1).key]).await.expect("look")[0]
}

fn pass(on: &Harness, milliseconds: u64) {
    if milliseconds > 0 {
        on.advance(Duration::from_millis(milliseconds));
    }
}

async fn free_failures_cost_nothing_and_then_delays_double(on: Harness) {
    assert_eq!(wait(&on).await, 0);
    for _ in 0..3 {
        assert_eq!(fail(&on).await, (0, 0));
    }
    for expected in [10_000, 20_000, 40_000, 50_000, 50_000] {
        let (before, after) = fail(&on).await;
        assert_eq!(before, 0);
        assert_about(after, expected);
        assert_about(wait(&on).await, expected);
        pass(&on, after);
        assert_eq!(wait(&on).await, 0);
    }
}

async fn nothing_is_counted_while_a_counter_holds_up(on: Harness) {
    for _ in 0..4 {
        fail(&on).await;
    }
    for _ in 0..50 {
        let (before, after) = fail(&on).await;
        assert_eq!(before, after);
        assert_about(before, 10_000);
    }
    pass(&on, 10_000);
    assert_about(fail(&on).await.1, 20_000);
}

async fn failures_are_forgiven_one_after_the_other(on: Harness) {
    for _ in 0..4 {
        fail(&on).await;
    }
    // Two of the four are forgiven, the third is not yet.
    pass(&on, 1_500_000);
    assert_eq!(wait(&on).await, 0);
    assert_eq!(fail(&on).await, (0, 0));
    assert_about(fail(&on).await.1, 10_000);
    pass(&on, 3_000_000);
    for _ in 0..3 {
        assert_eq!(fail(&on).await, (0, 0), "all are forgiven");
    }
}

async fn counters_count_for_themselves(on: Harness) {
    let all = [counter(1), counter(2), counter(3)];
    for _ in 0..3 {
        on.attempts.count_failure(&all[..2]).await.expect("count");
    }
    on.attempts.count_failure(&all[..1]).await.expect("count");
    let keys = all.map(|counter| counter.key);
    let waits = on.attempts.waits(&keys).await.expect("look");
    assert!(waits[0] > 0 && waits[1..] == [0, 0], "{waits:?}");
    // One that holds up does not keep the others from counting.
    let counted = on.attempts.count_failure(&all).await.expect("count");
    assert!(counted[0].before_ms > 0, "{counted:?}");
    assert!(counted[1].before_ms == 0 && counted[1].after_ms > 0, "{counted:?}");
    assert_eq!((counted[2].before_ms, counted[2].after_ms), (0, 0));
    let other = AttemptKey::new(AttemptKind::Peer, &[1; 32]);
    assert_eq!(on.attempts.waits(&[other]).await.expect("look"), [0], "another kind");
    assert_eq!(on.attempts.waits(&[]).await.expect("look"), Vec::<u64>::new());
}

async fn simultaneous_failures_are_all_counted(on: Harness) {
    let failures = (0..64).map(|_| fail(&on));
    let waits = futures::future::join_all(failures).await;
    let counted = waits.iter().filter(|(before, _)| *before == 0).count();
    assert_eq!(counted, 4, "the free ones, and the one that began to hold up");
}

async fn a_long_attack_is_forgiven_as_fast_as_a_short_one(on: Harness) {
    for _ in 0..60 {
        let (_, after) = fail(&on).await;
        pass(&on, after);
    }
    // The free ones, and 16 beyond.
    pass(&on, 19 * 600_000);
    for _ in 0..3 {
        assert_eq!(fail(&on).await, (0, 0));
    }
}

/// A key that stays would fill the store in the end; one that Redis refuses to write would make guessing free.
#[tokio::test]
async fn counters_expire_and_count_in_a_full_store() {
    let on = Harness::redis().await;
    ::redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .exec(&mut on.server().connection())
        .expect("fill");
    for _ in 0..4 {
        fail(&on).await;
    }
    assert!(wait(&on).await > 0);
    let mut connection = on.server().connection();
    let keys: Vec<Vec<u8>> = ::redis::cmd("KEYS").arg("*").query(&mut connection).expect("keys");
    assert_eq!(keys.len(), 1);
    let left: i64 = ::redis::cmd("PTTL")
        .arg(&keys[0])
        .query(&mut connection)
        .expect("expiry");
    assert_about(u64::try_from(left).expect("it expires"), 4 * 600_000);
}

/// However many names are made up.
#[test]
fn there_are_so_many_counters_and_no_more() {
    let keys = (0..1_u32 << 19).map(|number| {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
        AttemptKey::new(AttemptKind::Peer, &digest)
    });
    let keys: std::collections::BTreeSet<_> = keys.collect();
    let most = usize::try_from(AttemptKey::BUCKETS).expect("a small number");
    assert!((most / 2..=most).contains(&keys.len()), "{}", keys.len());
}
