//! Redis comes up after the services.

use tokenbind_tests::{
    ADMIN_ID, ADMIN_SECRET, App, Client, Installation, RedisServer, client_credentials, start_validator,
};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::fixture::{assert_unavailable, wait_for_health};

/// Both services say from the start that they are not ready, answer nothing wrong, and go on by themselves.
#[tokio::test]
async fn services_that_start_before_redis_wait_for_it_in_the_open() {
    let mut redis = RedisServer::start();
    redis.kill();
    let installation = Installation::new(redis.url());
    let (_issuer, issuer) = installation.start_issuer(&[]);
    let (_validator, validator) = start_validator(&redis.url(), &[]);
    let client = Client::new(&issuer, &validator);
    wait_for_health(&client, ServingStatus::NotServing).await;
    let operator = App {
        id: ADMIN_ID.to_owned(),
        secret: ADMIN_SECRET.to_owned(),
    };
    assert_unavailable(&client.issue(&operator, client_credentials()).await.unwrap_err());
    redis.restart();
    wait_for_health(&client, ServingStatus::Serving).await;
    client.issue(&operator, client_credentials()).await.unwrap();
}
