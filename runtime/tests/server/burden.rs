//! Clients that make a server hold more and more for them: it holds a bounded amount, and goes on for everybody else.

use crate::support::{
    PATIENCE, RawConnection, SERVICE, Server, assert_code, assert_works, config, status, until, within,
};
use bytes::Bytes;
use http::{Request, StatusCode};
use std::{net::SocketAddr, time::Duration};
use tokenbind_runtime::{admin::AdminServer, config::ServerConfig, metrics, shutdown::Shutdown};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{self, Instant},
};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

const MESSAGE_BYTES: usize = 64 << 10;

/// Posts a form of so many bytes, of which the last are never sent.
async fn begin(address: SocketAddr, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head(MESSAGE_BYTES).as_bytes()).await.unwrap();
    stream.write_all(&vec![b'a'; sent]).await.unwrap();
    stream
}

fn head(length: usize) -> String {
    format!(
        "POST /form HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {length}\r\n\r\n"
    )
}

async fn post(address: SocketAddr, length: usize) -> String {
    within(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let said = [head(length).into_bytes(), vec![b'a'; length]].concat();
        // The server may have answered before all of it was sent.
        let _ = stream.write_all(&said).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
}

/// As many calls as are allowed, each with the largest body, from whoever need not prove anything: without a limit for all of them
/// together that would be a gigabyte by default.
#[tokio::test]
async fn bodies_that_are_not_finished_hold_a_bounded_amount() {
    let server = Server::start(ServerConfig {
        max_message_bytes: MESSAGE_BYTES,
        ..config()
    })
    .await;
    let client = server.client().await;
    let address = server.address;
    let large = "x".repeat(MESSAGE_BYTES - 16);
    assert_eq!(client.call("Echo", &large).await.unwrap(), large);
    let mut unfinished = Vec::new();
    for _ in 0..64 {
        unfinished.push(begin(address, MESSAGE_BYTES - 1).await);
    }
    until(|| async { post(address, MESSAGE_BYTES).await.starts_with("HTTP/1.1 503") }).await;
    let answer = post(address, MESSAGE_BYTES).await;
    assert!(answer.contains("retry-after: 1"), "{answer}");
    assert_code(client.call("Echo", &large).await, Code::ResourceExhausted);
    // What is small has room.
    assert!(post(address, 1_000).await.ends_with("read"));
    assert_works(&client).await;
    drop(unfinished);
    until(|| async { post(address, MESSAGE_BYTES).await.ends_with("read") }).await;
    until(|| async { client.call("Echo", &large).await.is_ok() }).await;
}

#[tokio::test]
async fn streams_that_anybody_may_open_are_bounded() {
    let server = Server::start(ServerConfig {
        max_connections: 20,
        ..config()
    })
    .await;
    let watch = async || {
        let channel = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
        let channel = channel.connect().await.unwrap();
        let mut streams = Vec::new();
        let refused = loop {
            let request = HealthCheckRequest::default();
            match HealthClient::new(channel.clone()).watch(request).await {
                Ok(stream) => streams.push(stream),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused.code(), Code::ResourceExhausted);
        (channel, streams)
    };
    let (first, one) = within(watch()).await;
    let (_second, other) = within(watch()).await;
    assert_eq!((one.len(), other.len()), (16, 4));
    // Whether it lives can be asked all the same.
    HealthClient::new(first.clone())
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    drop(one);
    until(|| async {
        let mut client = HealthClient::new(first.clone());
        client.watch(HealthCheckRequest::default()).await.is_ok()
    })
    .await;
    assert_works(&server.client().await).await;
}

/// Asks without leaving any room for an answer.
async fn without_room(
    address: SocketAddr,
    calls: usize,
) -> (Vec<h2::client::ResponseFuture>, tokio::task::JoinHandle<()>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut send, connection) = h2::client::Builder::new()
        .initial_window_size(0)
        .handshake::<_, Bytes>(stream)
        .await
        .unwrap();
    let connected = tokio::spawn(async move {
        let _ = connection.await;
    });
    let mut answers = Vec::new();
    for _ in 0..calls {
        let request = Request::get("http://x/fine").body(()).unwrap();
        answers.push(send.send_request(request, true).unwrap().0);
    }
    (answers, connected)
}

#[tokio::test]
async fn answers_that_nobody_takes_count_and_end_their_connection() {
    let server = Server::start(ServerConfig {
        max_requests: 2,
        ..config()
    })
    .await;
    let client = server.client().await;
    let mut watched = client.stream("Stream").await.unwrap();
    assert_eq!(within(watched.message()).await.unwrap().unwrap(), "first");
    let (answers, mut connected) = within(without_room(server.address, 2)).await;
    let mut bodies = Vec::new();
    for answer in answers {
        let answer = within(answer).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        bodies.push(answer.into_body());
    }
    assert_code(client.call("Echo", "").await, Code::ResourceExhausted);

    // Time goes on by itself where nothing else does.
    time::pause();
    let since = Instant::now();
    time::timeout(10 * PATIENCE, &mut connected).await.unwrap().unwrap();
    let took = since.elapsed();
    time::resume();
    assert!(
        took >= Duration::from_secs(15) && took <= Duration::from_secs(45),
        "{took:?}"
    );
    until(|| async { client.call("Echo", "").await.is_ok() }).await;
    assert_works(&client).await;
    // A stream that has nothing to tell holds nobody up.
    let more = time::timeout(Duration::from_millis(50), watched.message()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn unary_answers_count_until_they_are_taken() {
    let server = Server::start(ServerConfig {
        max_requests: 1,
        ..config()
    })
    .await;
    let stream = within(TcpStream::connect(server.address)).await.unwrap();
    let (mut send, connection) = within(
        h2::client::Builder::new()
            .initial_window_size(0)
            .handshake::<_, Bytes>(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://x/{SERVICE}/Echo"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let (answer, mut body) = send.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), true).unwrap();
    let answer = within(answer).await.unwrap();
    let other = RawConnection::open(server.address).await;
    let refused = other.call("Echo", &[]).await.unwrap();
    assert_eq!(status(refused).await.unwrap(), "8");
    drop((answer, body, send));
    until(|| async { status(other.call("Echo", &[]).await.unwrap()).await.unwrap() == "0" }).await;
}

/// The port of the operators is reached by fewer, but whoever reaches it must not use up the files of the process either.
#[tokio::test]
async fn the_admin_port_drops_who_says_nothing() {
    let shutdown = Shutdown::manual();
    let handle = metrics::install().unwrap();
    let admin = AdminServer::bind(([127, 0, 0, 1], 0).into(), handle).await.unwrap();
    let address = admin.local_addr();
    admin.spawn(Vec::new(), &shutdown);
    let mut silent = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(b"GET /livez HTTP/1.1\r\n").await;
        silent.push(stream);
    }
    let works = || async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let said = "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let mut answer = Vec::new();
        let _ = stream.write_all(said.as_bytes()).await;
        let _ = stream.read_to_end(&mut answer).await;
        answer.starts_with(b"HTTP/1.1 200")
    };
    until(|| async { !works().await }).await;
    time::pause();
    for stream in &mut silent {
        let ended = time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        // A reset is an end, too.
        let _ = ended.expect("the server hangs up");
    }
    time::resume();
    until(works).await;
    shutdown.finish().await;
}
