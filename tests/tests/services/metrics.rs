//! `/metrics`, `/livez` and `/readyz`.

use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{DEADLINE, Stack, client_credentials, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn metrics_count_what_happened_and_name_nobody() {
    let arguments = ["--metrics-listen", "127.0.0.1:0"];
    let mut stack = Stack::redis(&arguments, &arguments).await;
    let app = stack.shop("the-shop", TokenFormat::Jwt).await;
    let api = stack.api("the-api", &[&app]).await;
    for _ in 0..3 {
        let token = stack.issue(&app, client_credentials()).await.unwrap();
        stack.assert_live(&api, &token.access_token).await;
    }
    let addresses: Vec<_> = stack
        .processes
        .iter_mut()
        .map(|process| process.logged_address("serving metrics"))
        .collect();
    let issuer = get(&addresses[0], "/metrics").await;
    let validator = get(&addresses[1], "/metrics").await;
    let superseded = issuer
        .lines()
        .find(|line| line.starts_with("tokenbind_tokens_issued_total{") && line.contains(r#"outcome="superseded""#));
    assert!(superseded.unwrap().ends_with(" 2"), "{superseded:?}");
    let allowed = validator
        .lines()
        .find(|line| line.starts_with("tokenbind_validations_total{") && line.to_lowercase().contains("allow"));
    assert!(allowed.unwrap().ends_with(" 3"), "{allowed:?}");
    for text in [&issuer, &validator] {
        assert!(
            !text.contains("the-shop") && !text.contains("the-api"),
            "no id is a label"
        );
    }
}

#[tokio::test]
async fn readyz_tells_the_same_as_health() {
    let arguments = ["--metrics-listen", "127.0.0.1:0"];
    let mut stack = Stack::redis(&arguments, &arguments).await;
    for process in &mut stack.processes {
        let address = process.logged_address("serving metrics");
        assert!(get(&address, "/readyz").await.starts_with("HTTP/1.1 200"));
    }
    stack.redis.as_mut().unwrap().kill();
    for process in &mut stack.processes {
        let address = process.logged_address("serving metrics");
        wait_until("it is not ready", DEADLINE, async || {
            get(&address, "/readyz").await.starts_with("HTTP/1.1 503").then_some(())
        })
        .await;
        assert!(
            get(&address, "/livez").await.starts_with("HTTP/1.1 200"),
            "alive all the same"
        );
    }
}
