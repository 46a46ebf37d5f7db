//! Three primaries with a replica each.

use std::sync::Arc;

use tokenbind_tests::{Installation, RedisCluster};

use crate::slice::Slice;

/// Of a cluster.
const SLOTS: u16 = 16_384;
const DURABLE: [&str; 2] = ["--redis-min-replicas", "1"];

#[tokio::test]
async fn new_primaries_and_moved_slots_are_followed_without_a_restart() {
    let mut redis = RedisCluster::start();
    let mut slice = Slice::start(Installation::new(redis.url()), &DURABLE, &[]).await;
    slice.nothing_is_lost().await;

    // The applications move, and the keys of the issuer, and much else.
    let applications = redis.slot(b"{application}");
    let redis_moved = slice
        .meanwhile(move || {
            let from = redis.owner(applications).unwrap();
            let to = (from + 1) % 3;
            for tag in [&b"{application}"[..], b"{user}", b"{resource}", b"{key}"] {
                let slot = redis.slot(tag);
                if redis.owner(slot) != Some(to) {
                    redis.move_slot(slot, to);
                }
            }
            redis
        })
        .await;
    redis = redis_moved;
    slice.everything_works().await;
    slice.nothing_is_lost().await;

    // Each primary dies in turn.
    for _ in 0..3 {
        redis = slice
            .meanwhile(move || {
                let applications = redis.slot(b"{application}");
                let primary = redis.owner(applications).unwrap();
                redis.node(primary).kill();
                redis.wait_for_owner_other_than(applications, primary);
                redis.node(primary).restart();
                redis.wait_until_whole();
                redis
            })
            .await;
        slice.everything_works().await;
        slice.nothing_is_lost().await;
    }

    // One is frozen until it is none any more, and goes on.
    redis = slice
        .meanwhile(move || {
            let slot = redis.slot(b"{user}");
            let primary = redis.owner(slot).unwrap();
            redis.nodes()[primary].freeze();
            redis.wait_for_owner_other_than(slot, primary);
            redis.nodes()[primary].thaw();
            redis.wait_until_whole();
            redis
        })
        .await;
    slice.everything_works().await;

    // An orderly change of all three.
    let _redis = slice
        .meanwhile(move || {
            for tag in [&b"{application}"[..], b"a", b"b"] {
                let primary = redis.owner(redis.slot(tag)).unwrap();
                redis.failover(primary);
                redis.wait_until_whole();
            }
            redis
        })
        .await;
    slice.everything_works().await;
    slice.nothing_is_lost().await;
}

/// Nobody sees the slots half moved, and nobody is redirected before it asks: who keeps what was read has to be told by the
/// primary that has them no longer.
#[tokio::test]
async fn slots_that_change_hands_at_once_are_followed() {
    let redis = Arc::new(RedisCluster::start_valkey());
    let mut slice = Slice::start(Installation::new(redis.url()), &DURABLE, &[]).await;
    for round in 0..3 {
        slice.nothing_is_lost().await;
        let moving = Arc::clone(&redis);
        let share = SLOTS / 3 + 1;
        let move_all = move || {
            // What the first primary had moves around, but for one slot: it remains a primary.
            moving.move_slots_at_once(1, share - 1, (round + 1) % 3);
        };
        slice.meanwhile(move_all).await;
        slice.everything_works().await;
    }
}
