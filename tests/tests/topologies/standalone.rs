//! One server, which dies and comes back: a Redis with what it had, a Valkey.

use tokenbind_tests::{Installation, RedisServer};

use crate::slice::Slice;

#[tokio::test]
async fn a_redis_that_comes_back_has_everything() {
    let mut redis = RedisServer::start_durable();
    let mut slice = Slice::start(Installation::new(redis.url()), &[], &[]).await;
    let redis = slice
        .meanwhile(move || {
            redis.kill();
            redis.restart();
            redis
        })
        .await;
    slice.nothing_is_lost().await;
    slice.everything_works().await;
    drop(redis);
}

#[tokio::test]
async fn a_valkey_is_as_good() {
    let redis = RedisServer::start_valkey();
    let mut slice = Slice::start(Installation::new(redis.url()), &[], &[]).await;
    slice.nothing_is_lost().await;
    slice.everything_works().await;
}
