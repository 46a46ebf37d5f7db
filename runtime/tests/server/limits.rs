//! What a server refuses, and for how long it works.

use crate::support::{RawConnection, Server, assert_code, assert_works, config, status, until, within};
use std::{collections::HashSet, time::Duration};
use tokenbind_runtime::config::ServerConfig;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tonic::{Code, Request};
use tonic_types::StatusExt;

const DEADLINE_EXCEEDED: &str = "4";

#[tokio::test]
async fn a_call_that_takes_too_long_is_ended_by_the_server() {
    let config = ServerConfig {
        request_timeout: Duration::from_millis(20),
        ..config()
    };
    let server = Server::start(config).await;
    let client = server.client().await;

    assert_code(client.call("Wait", "").await, Code::DeadlineExceeded);
    within(server.callee.dropped.cancelled()).await;
    assert_works(&client).await;
}

#[tokio::test]
async fn a_shorter_deadline_of_the_caller_wins() {
    let server = Server::start(config()).await;
    let connection = RawConnection::open(server.address).await;

    let answer = connection.call("Wait", &[("grpc-timeout", "20m")]).await.unwrap();
    assert_eq!(status(answer).await.unwrap(), DEADLINE_EXCEEDED);
    within(server.callee.dropped.cancelled()).await;
    assert_works(&server.client().await).await;
}

#[tokio::test]
async fn a_longer_deadline_of_the_caller_does_not() {
    let config = ServerConfig {
        request_timeout: Duration::from_millis(20),
        ..config()
    };
    let server = Server::start(config).await;
    let connection = RawConnection::open(server.address).await;

    let answer = connection.call("Wait", &[("grpc-timeout", "1H")]).await.unwrap();
    assert_eq!(status(answer).await.unwrap(), DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn a_call_without_any_time_left_never_reaches_its_handler() {
    let server = Server::start(config()).await;
    let connection = RawConnection::open(server.address).await;

    let answer = connection.call("Wait", &[("grpc-timeout", "0n")]).await.unwrap();
    assert_eq!(status(answer).await.unwrap(), DEADLINE_EXCEEDED);
    assert!(!server.callee.entered.is_cancelled());
}

#[tokio::test]
async fn the_deadline_of_the_caller_ends_a_stream() {
    let server = Server::start(config()).await;
    let connection = RawConnection::open(server.address).await;

    let answer = connection.call("Stream", &[("grpc-timeout", "50m")]).await.unwrap();
    assert_eq!(status(answer).await.unwrap(), DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn a_stream_may_last_longer_than_the_bound_of_the_server() {
    let config = ServerConfig {
        request_timeout: Duration::from_millis(20),
        ..config()
    };
    let server = Server::start(config).await;
    let client = server.client().await;

    let mut stream = client.stream("Stream").await.unwrap();
    assert_eq!(within(stream.message()).await.unwrap().unwrap(), "first");
    assert_code(client.call("Wait", "").await, Code::DeadlineExceeded);
    let more = tokio::time::timeout(Duration::from_millis(20), stream.message()).await;
    assert!(more.is_err(), "the stream ended: {more:?}");
}

#[tokio::test]
async fn excess_calls_are_refused_at_once_and_told_when_to_return() {
    let server = Server::start(ServerConfig {
        max_requests: 1,
        ..config()
    })
    .await;
    let client = server.client().await;
    let waiting = client.spawn("Wait");
    within(server.callee.entered.cancelled()).await;

    let status = assert_code(client.call("Echo", "").await, Code::ResourceExhausted);
    let retry = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(retry > Duration::ZERO);
    assert!(client.is_serving().await, "a busy server must not look dead");

    server.callee.release.cancel();
    within(waiting).await.unwrap().unwrap();
    assert_works(&client).await;
}

#[tokio::test]
async fn a_stream_that_has_begun_is_no_excess_call() {
    let server = Server::start(ServerConfig {
        max_requests: 1,
        ..config()
    })
    .await;
    let client = server.client().await;
    let mut stream = client.stream("Stream").await.unwrap();
    assert_eq!(within(stream.message()).await.unwrap().unwrap(), "first");
    assert_works(&client).await;
}

#[tokio::test]
async fn a16_too_much_metadata_is_refused() {
    let server = Server::start(ServerConfig {
        max_metadata_bytes: 4096,
        ..config()
    })
    .await;
    let client = server.client().await;
    let request = |bytes: usize| {
        let mut request = Request::new("hello".to_owned());
        request
            .metadata_mut()
            .insert("padding", "x".repeat(bytes).parse().unwrap());
        request
    };

    assert_code(client.send("Echo", request(4096)).await, Code::ResourceExhausted);
    client.send("Echo", request(1 << 20)).await.unwrap_err();
    client.send("Echo", request(1024)).await.unwrap();
    assert_works(&server.client().await).await;
}

#[tokio::test]
async fn a16_streams_beyond_the_limit_do_not_reach_a_handler() {
    let server = Server::start(ServerConfig {
        max_streams: 1,
        ..config()
    })
    .await;
    let client = server.client().await;
    let waiting = client.spawn("Wait");
    within(server.callee.entered.cancelled()).await;

    let second = client.spawn("Echo");
    // Other connections have a limit of their own.
    assert_works(&server.client().await).await;
    assert!(!second.is_finished());

    server.callee.release.cancel();
    within(waiting).await.unwrap().unwrap();
    within(second).await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let server = Server::start(ServerConfig {
        max_connections: 1,
        ..config()
    })
    .await;
    let client = server.client().await;
    assert_works(&client).await;

    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(
        within(second.read(&mut [0; 64])).await.unwrap_or(0),
        0,
        "it must be closed without a word"
    );
    assert_works(&client).await;

    drop(client);
    until(|| async {
        match server.try_client().await {
            Ok(client) => client.call("Echo", "").await.is_ok(),
            Err(_) => false,
        }
    })
    .await;
}

/// A client that keeps one connection for ever would never find a server that was added.
#[tokio::test]
async fn a_client_connects_anew_and_no_call_that_came_fails() {
    let server = Server::start(ServerConfig {
        max_connection_age: Some(Duration::from_millis(100)),
        ..config()
    })
    .await;
    let client = server.client().await;
    let mut stream = client.stream("Stream").await.unwrap();
    assert_eq!(within(stream.message()).await.unwrap().unwrap(), "first");
    let mut peers = HashSet::new();
    within(async {
        while peers.len() < 20 {
            match client.call("Peer", "").await {
                Ok(peer) => drop(peers.insert(peer)),
                // What this client had not sent yet it gives up, where others send it again.
                Err(status) => assert_eq!(status.code(), Code::Cancelled, "{status:?}"),
            }
        }
    })
    .await;
    // What was going on goes on.
    let more = tokio::time::timeout(Duration::from_millis(20), stream.message()).await;
    assert!(more.is_err(), "the stream ended: {more:?}");
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let server = Server::start(config()).await;
    let client = server.client().await;
    assert_code(client.call("Missing", "").await, Code::Unimplemented);
    assert_works(&client).await;
}
