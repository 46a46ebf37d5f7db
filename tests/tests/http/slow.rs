//! Clients that take their time, or take nothing.

use std::time::Duration;

use tokenbind_tests::{Backend, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::Setting;

/// More than any time-out of the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says this, then nothing, and tells what came until the server hung up.
async fn say_and_wait(address: &str, said: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(said.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut heard)).await;
    // A reset is a way to hang up.
    let _ = ended.expect("the server hangs up");
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn a_client_that_is_slow_is_told_and_dropped() {
    let stack = Stack::start_with(Backend::Redis, &["--request-timeout-ms", "1000"]).await;
    let setting = Setting::of(stack).await;
    let address = setting.issuer.address();
    let post = "POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    let begun = format!("{post}content-length: 100\r\n\r\ngrant_type=");
    // All at once: each of them waits for its own time-out.
    let (silent, preface, head, header_by_header, body, idle) = tokio::join!(
        say_and_wait(address, ""),
        say_and_wait(address, "PRI * HTTP/2.0\r\n"),
        say_and_wait(address, "POST /oauth2/token HTTP/1.1\r\nhost: x\r\n"),
        drip(address),
        say_and_wait(address, &begun),
        say_and_wait(address, "GET /oauth2/jwks HTTP/1.1\r\nhost: x\r\n\r\n"),
    );
    assert_eq!((silent.as_str(), preface.as_str()), ("", ""));
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408"), "{head}");
    assert!(
        header_by_header.is_empty() || header_by_header.starts_with("HTTP/1.1 4"),
        "{header_by_header}"
    );
    assert!(
        body.starts_with("HTTP/1.1 408") && body.contains("invalid_request"),
        "{body}"
    );
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
    setting.assert_works().await;
}

/// Slow loris: a little now and then is not enough.
async fn drip(address: &str) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    write.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let dripping = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        loop {
            ticks.tick().await;
            if write.write_all(b"x: y\r\n").await.is_err() {
                break;
            }
        }
    });
    let mut heard = Vec::new();
    let ended = timeout(PATIENCE, read.read_to_end(&mut heard)).await;
    let _ = ended.expect("the server hangs up");
    dripping.abort();
    String::from_utf8_lossy(&heard).into_owned()
}

/// Whoever sends requests and reads no answer holds one connection, and nobody else up.
#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_nobody() {
    let setting = Setting::start().await;
    let mut stream = TcpStream::connect(setting.issuer.address()).await.unwrap();
    let request = "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    // Until the server no longer takes any, because its answers are not taken.
    while let Ok(written) = timeout(Duration::from_secs(2), stream.write_all(request.as_bytes())).await {
        if written.is_err() {
            break;
        }
    }
    setting.assert_works().await;
}
