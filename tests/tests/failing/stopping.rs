//! A service that is told to stop finishes what it has begun.

use std::process::Command;

use futures::future::join_all;
use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{
    Ask as _, Backend, Client, DEADLINE, Installation, Process, RedisServer, Stack, binary, channel,
    client_credentials, health, password, start_validator, wait_until,
};
use tonic_health::pb::health_check_response::ServingStatus;

#[tokio::test]
async fn calls_in_flight_are_answered_after_sigterm() {
    let mut stack = Stack::start(Backend::Redis).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    stack.user("ada", "correct horse").await;
    // Passwords take a while, and these all come at once.
    let calls = (0..16).map(|number| {
        let (client, app) = (stack.client(), app.clone());
        tokio::spawn(async move {
            let request = password("ada", "correct horse").bound_to(&format!("phone-{number}"));
            client.issue(&app, request).await
        })
    });
    let calls: Vec<_> = calls.collect();
    // The first answer: the others have arrived on the same connection.
    let first = stack.issue(&app, client_credentials()).await;
    first.unwrap();
    stack.processes[0].terminate();
    for call in join_all(calls).await {
        call.unwrap().unwrap();
    }
    assert!(stack.processes[0].wait(DEADLINE).await.success());
    stack.processes[1].terminate();
    assert!(stack.processes[1].wait(DEADLINE).await.success());
}

#[tokio::test]
async fn a_draining_service_says_so_and_serves_on() {
    let mut stack = Stack::redis(&["--drain-seconds", "3"], &["--drain-seconds", "3"]).await;
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let api = stack.api("api", &[&app]).await;
    for process in &stack.processes {
        process.terminate();
    }
    for server in [&stack.issuer, &stack.validator] {
        wait_until("health turns", DEADLINE, async || {
            (health(server, "").await == Some(ServingStatus::NotServing)).then_some(())
        })
        .await;
    }
    // Whoever has not looked yet is served.
    for _ in 0..20 {
        let token = stack.issue(&app, client_credentials()).await.unwrap();
        stack.assert_live(&api, &token.access_token).await;
    }
    for process in &mut stack.processes {
        assert!(process.wait(DEADLINE).await.success());
    }
}

#[tokio::test]
async fn services_wait_for_a_redis_that_is_not_up_yet() {
    let mut redis = RedisServer::start();
    redis.kill();
    let installation = Installation::new(redis.url());
    let mut issuer = Process::start("issuer", installation.issuer_command());
    let mut command = Command::new(binary("validator"));
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
        "--redis-url",
        &redis.url(),
    ]);
    let mut validator = Process::start("validator", command);
    for process in [&mut issuer, &mut validator] {
        wait_until("it says that it waits", DEADLINE, async || {
            process.log().to_lowercase().contains("redis").then_some(())
        })
        .await;
        assert_eq!(process.ended(), None);
    }
    redis.restart();
    let issuer_address = issuer.logged_address("serving");
    let validator_address = validator.logged_address("serving");
    Client::new(&issuer_address, &validator_address).ready().await;
    // One that waits can be told to stop, too.
    redis.kill();
    let mut waiting = Process::start("issuer", installation.issuer_command());
    wait_until("it says that it waits", DEADLINE, async || {
        waiting.log().to_lowercase().contains("redis").then_some(())
    })
    .await;
    waiting.terminate();
    assert!(waiting.wait(DEADLINE).await.success());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let redis = RedisServer::start();
    let (mut validator, address) = start_validator(&redis.url(), &["--drain-seconds", "600"]);
    let server = channel(&address);
    validator.terminate();
    wait_until("health turns", DEADLINE, async || {
        (health(&server, "").await == Some(ServingStatus::NotServing)).then_some(())
    })
    .await;
    validator.terminate();
    validator.wait(DEADLINE).await;
}
