//! A6: issuer and Redis are restarted between the use of a token and its second use.

use tokenbind_proto::v1::{Reason, TokenFormat};
use tokenbind_tests::{Client, Installation, RedisServer, Stack, channel, reason, wait_until};

use crate::fixture::Shop;

#[tokio::test]
async fn a6_a_restart_between_use_and_replay_changes_nothing() {
    let redis = RedisServer::start_durable();
    let installation = Installation::new(redis.url());
    let mut stack = Stack::over(redis, installation, &[], &[]).await;
    let shop = Shop::create(&stack, TokenFormat::Jwt, 0).await;
    let first = shop.login(&stack, "phone-1").await;
    let second = shop.refresh(&stack, &first).await.unwrap();

    let (_process, client) = restart(&mut stack).await;
    let error = shop.refresh(&client, &first).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_grant");
    let error = shop.refresh(&client, &second).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_grant", "the replay ended the login");
    stack
        .assert_dead(&shop.api, &second.access_token, Reason::TokenNotLive)
        .await;

    let third = shop.login(&client, "phone-1").await;
    let (_process, client) = restart(&mut stack).await;
    let fourth = shop.refresh(&client, &third).await.unwrap();
    stack.assert_live(&shop.api, &fourth.access_token).await;
}

/// What Redis lost is gone, and with it whatever it was told: nothing comes back.
#[tokio::test]
async fn a6_a_redis_that_lost_everything_knows_no_login() {
    let mut stack = Stack::redis(&[], &[]).await;
    let shop = Shop::create(&stack, TokenFormat::Jwt, 1).await;
    let token = shop.login(&stack, "phone-1").await;
    let redis = stack.redis.as_mut().unwrap();
    redis.kill();
    redis.restart();
    let client = stack.client();
    let refused = wait_until("the issuer answers", tokenbind_tests::DEADLINE, async || {
        let error = shop.refresh(&client, &token).await.unwrap_err();
        let reason = reason(&error);
        (reason != "temporarily_unavailable").then_some(reason)
    });
    // The application was made by the API, and is lost too.
    assert!(["invalid_client", "invalid_grant"].contains(&refused.await.as_str()));
}

async fn restart(stack: &mut Stack) -> (tokenbind_tests::Process, Client) {
    let redis = stack.redis.as_mut().unwrap();
    redis.kill();
    redis.restart();
    stack.processes[0].kill();
    let (process, address) = stack.installation.as_ref().unwrap().start_issuer(&[]);
    let client = Client {
        issuer: channel(&address),
        ..stack.client()
    };
    client.ready().await;
    (process, client)
}
