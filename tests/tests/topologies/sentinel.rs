//! Three sentinels over a primary and two replicas.

use std::time::{Duration, Instant};

use tokenbind_proto::v1::{Decision, TokenFormat, ValidateTokenRequest};
use tokenbind_tests::{DEADLINE, Installation, RedisSentinel, Stack, client_credentials, shop, wait_until};

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

/// The old primary comes back with what it was long ago, before a validator has heard that there is another one.
#[tokio::test]
async fn an_old_primary_that_was_started_again_is_not_believed() {
    let mut redis = RedisSentinel::start();
    let stack = Stack::installed(Installation::new(redis.url()), &DURABLE, &[]).await;
    let app = stack.create_app(shop("shop", TokenFormat::Jwt)).await.unwrap();
    let api = stack.api("orders", &[&app]).await;
    let token = stack.issue(&app, client_credentials()).await.unwrap().access_token;
    stack.assert_live(&api, &token).await;
    let question = || ValidateTokenRequest {
        token: token.clone(),
        ..ValidateTokenRequest::default()
    };
    let old = redis.primary().unwrap();
    let _: () = redis::cmd("SAVE").query(&mut redis.nodes()[old].connection()).unwrap();
    let revoke = async || stack.revoke(&app, &token).await.ok();
    wait_until("a token is revoked", DEADLINE, revoke).await;

    let validator = &stack.processes[1];
    validator.freeze();
    redis.node(old).kill();
    redis.wait_for_primary_other_than(old);
    (0..3).for_each(|sentinel| redis.freeze_sentinel(sentinel));
    redis.node(old).restart();
    validator.thaw();
    let mut asked = 0;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(4) {
        if let Ok(verdict) = stack.judge(&api, question()).await {
            assert_ne!(verdict.decision(), Decision::Allow, "after {:?}", since.elapsed());
        }
        asked += 1;
    }
    assert!(asked > 0);
    (0..3).for_each(|sentinel| redis.thaw_sentinel(sentinel));
    wait_until("a verdict", DEADLINE, async || {
        let verdict = stack.judge(&api, question()).await.ok()?;
        assert_eq!(verdict.decision(), Decision::Unauthenticated);
        Some(())
    })
    .await;
}
