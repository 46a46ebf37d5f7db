//! Three sentinels over a primary and two replicas.

use tokenbind_tests::{Installation, RedisSentinel};

use crate::slice::Slice;

const DURABLE: [&str; 2] = ["--redis-min-replicas", "1"];

#[tokio::test]
async fn a_new_primary_is_followed_without_a_restart() {
    let mut redis = RedisSentinel::start();
    let mut slice = Slice::start(Installation::new(redis.url()), &DURABLE, &[]).await;
    slice.nothing_is_lost().await;

    // The primary dies.
    let mut redis = slice
        .meanwhile(move || {
            redis.node(0).kill();
            redis.wait_for_primary_other_than(0);
            redis
        })
        .await;
    slice.everything_works().await;
    slice.nothing_is_lost().await;

    // It comes back, as a replica; and the next one is frozen until it is none any more.
    let (redis, frozen) = slice
        .meanwhile(move || {
            redis.node(0).restart();
            let primary = redis.wait_until_whole();
            redis.nodes()[primary].freeze();
            redis.wait_for_primary_other_than(primary);
            (redis, primary)
        })
        .await;
    slice.everything_works().await;

    // What it believes when it goes on does not matter to anybody.
    let redis = slice
        .meanwhile(move || {
            redis.nodes()[frozen].thaw();
            redis.wait_until_whole();
            redis
        })
        .await;
    slice.everything_works().await;
    slice.nothing_is_lost().await;

    // An orderly one. Until it is told that it is none any more, the old primary takes what is then lost: issuing does not wait
    // for replicas, so what was superseded there would be live again.
    let _redis = slice
        .meanwhile(move || {
            redis.failover();
            redis.wait_until_whole();
            redis
        })
        .await;
    slice.everything_works().await;
}
