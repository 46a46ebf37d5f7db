//! The private HTTP server.

use crate::support::{Server, assert_code, config, until, within};
use std::net::SocketAddr;
use tokenbind_runtime::{admin::AdminServer, metrics};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;

async fn get(address: SocketAddr, path: &str) -> String {
    within(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    })
    .await
}

#[tokio::test]
async fn calls_are_counted_and_readiness_is_told() {
    metrics::install().unwrap();
    let handle = metrics::install().expect("a second service shares the recorder");
    let server = Server::start(config()).await;
    let admin = AdminServer::bind(([127, 0, 0, 1], 0).into(), handle).await.unwrap();
    let address = admin.local_addr();
    admin.spawn(vec![server.readiness.clone()], &server.shutdown);
    let client = server.client().await;

    for _ in 0..3 {
        client.call("Count", "swordfish").await.unwrap();
    }
    assert_code(client.call("Swordfish", "").await, Code::Unimplemented);
    let labels = r#"grpc_type="unary",grpc_service="test.v1.Callee",grpc_method="Count""#;
    let metrics = get(address, "/metrics").await;
    for line in [
        format!("grpc_server_started_total{{{labels}}} 3"),
        format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}} 3"),
        format!("grpc_server_handling_seconds_count{{{labels},grpc_code=\"OK\"}} 3"),
        format!("grpc_server_handling_seconds_bucket{{{labels},grpc_code=\"OK\",le=\"+Inf\"}} 3"),
    ] {
        assert!(metrics.contains(&line), "{line} is missing in\n{metrics}");
    }
    let unknown = r#"grpc_service="unknown",grpc_method="unknown",grpc_code="Unimplemented""#;
    assert!(metrics.contains(unknown), "{metrics}");
    assert!(
        !metrics.to_lowercase().contains("swordfish"),
        "a caller chose a label:\n{metrics}"
    );

    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
    server.shutdown.trigger();
    until(|| async { get(address, "/readyz").await.starts_with("HTTP/1.1 503") }).await;
    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
    server.stopped().await;
}
