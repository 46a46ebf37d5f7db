//! A Redis that changes for the worse while it is used.

use tokenbind_tests::{DEADLINE, Installation, RedisServer, Stack, health, wait_until};
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus::{self, NotServing, Serving};

async fn becomes(service: &Channel, what: &str, status: ServingStatus) {
    wait_until(what, DEADLINE, async || {
        (health(service, "").await == Some(status)).then_some(())
    })
    .await;
}

fn set(redis: &RedisServer, setting: &str, value: &str) {
    let mut command = redis::cmd("CONFIG");
    command
        .arg(&["SET", setting, value])
        .exec(&mut redis.connection())
        .unwrap();
}

#[tokio::test]
async fn readiness_notices_what_a_redis_has_become() {
    let redis = RedisServer::start();
    let other = RedisServer::start();
    let stack = Stack::installed(Installation::new(redis.url()), &[], &[]).await;

    set(&redis, "maxmemory-policy", "allkeys-lru");
    becomes(&stack.issuer, "an evicting store is no place for an issuer", NotServing).await;
    becomes(&stack.validator, "nor for a validator", NotServing).await;
    set(&redis, "maxmemory-policy", "noeviction");
    becomes(&stack.issuer, "it does not evict", Serving).await;
    becomes(&stack.validator, "it does not evict", Serving).await;

    // R7: revoking goes on when the store is full, so whoever revokes must find an issuer.
    set(&redis, "maxmemory-policy", "volatile-ttl");
    set(&redis, "maxmemory", "1");
    becomes(&stack.issuer, "an evicting store is no place for an issuer", NotServing).await;
    set(&redis, "maxmemory-policy", "noeviction");
    becomes(&stack.issuer, "it is full and does not evict", Serving).await;
    set(&redis, "maxmemory", "0");

    redis.follow(&other);
    becomes(&stack.issuer, "a replica is no place for an issuer", NotServing).await;
    becomes(&stack.validator, "nor for a validator", NotServing).await;
    redis::cmd("REPLICAOF")
        .arg(&["NO", "ONE"])
        .exec(&mut redis.connection())
        .unwrap();
    becomes(&stack.issuer, "it is a primary", Serving).await;
    becomes(&stack.validator, "it is a primary", Serving).await;
}
