//! Stopping in two stages.

use crate::support::{PATIENCE, RawConnection, Server, assert_works, config, status, until, within};
use std::time::Duration;
use tokenbind_runtime::config::ServerConfig;
use tokio::net::TcpStream;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[tokio::test]
async fn health_turns_first_and_calls_are_still_served_while_draining() {
    let server = Server::start(ServerConfig {
        drain: 10 * PATIENCE,
        ..config()
    })
    .await;
    let client = server.client().await;
    let waiting = client.spawn("Wait");
    within(server.callee.entered.cancelled()).await;
    assert!(client.is_serving().await);

    server.shutdown.trigger();
    until(|| async { !client.is_serving().await }).await;
    assert!(!server.readiness.is_ready());
    assert_works(&server.client().await).await;
    assert!(!server.serving.is_finished());

    server.callee.release.cancel();
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_in_flight_finishes_before_the_server_ends() {
    let server = Server::start(config()).await;
    let client = server.client().await;
    let waiting = client.spawn("Wait");
    within(server.callee.entered.cancelled()).await;

    server.shutdown.trigger();
    until(|| async { TcpStream::connect(server.address).await.is_err() }).await;
    assert!(!server.serving.is_finished(), "a call is in flight");

    server.callee.release.cancel();
    within(waiting).await.unwrap().unwrap();
    assert!(!server.callee.dropped.is_cancelled());
    server.stopped().await;
}

#[tokio::test]
async fn calls_are_cut_when_the_grace_is_over() {
    let server = Server::start(ServerConfig {
        grace: Duration::from_millis(20),
        ..config()
    })
    .await;
    let waiting = server.client().await.spawn("Wait");
    within(server.callee.entered.cancelled()).await;

    server.shutdown.trigger();
    within(waiting).await.unwrap().unwrap_err();
    within(server.callee.dropped.cancelled()).await;
    server.stopped().await;
}

#[tokio::test]
async fn a_second_signal_cuts_at_once() {
    let server = Server::start(ServerConfig {
        drain: 10 * PATIENCE,
        ..config()
    })
    .await;
    let waiting = server.client().await.spawn("Wait");
    within(server.callee.entered.cancelled()).await;

    server.shutdown.trigger();
    server.shutdown.trigger();
    within(waiting).await.unwrap().unwrap_err();
    within(server.callee.dropped.cancelled()).await;
    server.stopped().await;
}

#[tokio::test]
async fn an_idle_connection_holds_nothing_up() {
    let server = Server::start(config()).await;
    let client = server.client().await;
    assert_works(&client).await;

    server.shutdown.trigger();
    server.stopped().await;
    drop(client);
}

#[tokio::test]
async fn a_watcher_of_health_holds_nothing_up() {
    let server = Server::start(config()).await;
    let mut client = HealthClient::new(server.client().await.0);
    let request = HealthCheckRequest { service: String::new() };
    let mut watching = within(client.watch(request)).await.unwrap().into_inner();
    within(watching.message()).await.unwrap().unwrap();

    server.shutdown.trigger();
    server.stopped().await;
}

#[tokio::test]
async fn a_first_call_that_comes_while_it_stops_is_answered() {
    for workers in [0, 2] {
        let server = Server::start(ServerConfig { workers, ..config() }).await;
        let silent = TcpStream::connect(server.address).await.unwrap();
        // Taken by the server as well: it takes them in their order.
        assert_works(&server.client().await).await;

        server.shutdown.trigger();
        until(|| async { TcpStream::connect(server.address).await.is_err() }).await;
        let late = RawConnection::over(silent).await;
        let answer = late.call("Echo", &[]).await.unwrap();
        assert_eq!(status(answer).await.as_deref(), Some("0"));
        server.stopped().await;
    }
}

#[tokio::test]
async fn who_is_told_to_leave_finds_the_door_closed() {
    for _ in 0..20 {
        let server = Server::start(ServerConfig { workers: 2, ..config() }).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (_send, connection) = within(h2::client::handshake(stream)).await.unwrap();
        let told = tokio::spawn(connection);
        assert_works(&server.client().await).await;

        server.shutdown.trigger();
        // A client of gRPC connects again as soon as it is told. Whatever it sent then would be lost.
        let _ = within(told).await.unwrap();
        TcpStream::connect(server.address).await.unwrap_err();
        server.stopped().await;
    }
}
