//! Serving on threads of its own.

use crate::support::{Server, assert_works, config, until, within};
use std::collections::BTreeMap;
use std::time::Duration;
use tokenbind_runtime::config::ServerConfig;
use tokio::net::TcpStream;

fn two_workers() -> ServerConfig {
    ServerConfig { workers: 2, ..config() }
}

#[tokio::test]
async fn connections_are_spread_evenly() {
    let server = Server::start(two_workers()).await;
    let mut clients = Vec::new();
    let mut calls = BTreeMap::new();
    for _ in 0..6 {
        let client = server.client().await;
        let thread = client.call("Thread", "").await.unwrap();
        assert_eq!(client.call("Thread", "").await.unwrap(), thread, "a connection stays");
        *calls.entry(thread).or_insert(0) += 1;
        clients.push(client);
    }
    let expected = [("worker-0".to_owned(), 3), ("worker-1".to_owned(), 3)];
    assert_eq!(calls, BTreeMap::from(expected));
}

#[tokio::test]
async fn a_call_in_flight_finishes_before_the_workers_end() {
    let server = Server::start(two_workers()).await;
    let waiting = server.client().await.spawn("Wait");
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
async fn calls_of_workers_are_cut_when_the_grace_is_over() {
    let server = Server::start(ServerConfig {
        grace: Duration::from_millis(20),
        ..two_workers()
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
async fn a_panic_on_a_worker_ends_its_call_alone() {
    let server = Server::start(two_workers()).await;
    let client = server.client().await;
    client.call("Panic", "").await.unwrap_err();
    assert_works(&client).await;
    assert_works(&server.client().await).await;
}
