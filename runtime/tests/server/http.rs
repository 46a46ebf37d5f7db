//! HTTP beside gRPC: what every route passes through.

use crate::support::{SECRET, Server, assert_works, config, spans, until, within};
use axum::{
    body::Body,
    response::IntoResponse,
    routing::{get, post},
};
use http::Request;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::trace::SpanData;
use std::{net::SocketAddr, time::Duration};
use tokenbind_runtime::{
    config::ServerConfig,
    http::{Form, HttpRoutes},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What the server under test answers over HTTP.
pub(crate) fn routes() -> HttpRoutes {
    HttpRoutes::new()
        .route("/fine", get(async || "fine"))
        .route("/panic", get(panics))
        .route("/wait", get(async || std::future::pending::<&str>().await))
        .route("/form", post(form))
}

async fn panics() -> &'static str {
    panic!("{SECRET}")
}

async fn form(request: Request<Body>) -> axum::response::Response {
    match Form::read(request, &[]).await {
        Ok(_) => "read".into_response(),
        Err(error) => error.into_response(),
    }
}

/// Says this, and tells the answer to it; the server hangs up after it.
async fn ask(address: SocketAddr, head: &str, body: &str) -> String {
    within(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let said = format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    })
    .await
}

async fn get_path(server: &Server, path: &str) -> String {
    ask(server.address, &format!("GET {path} HTTP/1.1"), "").await
}

#[tokio::test]
async fn a_panic_is_500_without_detail() {
    let server = Server::start(config()).await;
    let answer = get_path(&server, "/panic").await;
    assert!(
        answer.starts_with("HTTP/1.1 500") && answer.contains("server_error"),
        "{answer}"
    );
    assert!(!answer.contains(SECRET), "{answer}");
    assert!(get_path(&server, "/fine").await.ends_with("\r\n\r\nfine"));
    assert_works(&server.client().await).await;
}

#[tokio::test]
async fn whoever_is_slow_gets_an_answer_that_says_who_it_was() {
    let config = ServerConfig {
        request_timeout: Duration::from_millis(50),
        ..config()
    };
    let server = Server::start(config).await;
    let answer = get_path(&server, "/wait").await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"),
        "{answer}"
    );
    let head = "POST /form HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 9";
    let answer = ask(server.address, head, "a=b").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(ask(server.address, head, "a=b&c=d&e").await.ends_with("read"));
    assert_works(&server.client().await).await;
}

/// Both kinds of calls share the limit.
#[tokio::test]
async fn too_much_at_once_is_503_and_counts_with_grpc() {
    let config = ServerConfig {
        max_requests: 1,
        ..config()
    };
    let server = Server::start(config).await;
    let client = server.client().await;
    let waiting = client.spawn("Wait");
    within(server.callee.entered.cancelled()).await;
    let answer = get_path(&server, "/fine").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("temporarily_unavailable") && answer.contains("retry-after: 1"),
        "{answer}"
    );
    waiting.abort();
    until(|| async { get_path(&server, "/fine").await.starts_with("HTTP/1.1 200") }).await;
    assert_works(&client).await;
}

#[tokio::test]
async fn odd_requests_are_not_found() {
    let server = Server::start(config()).await;
    for head in [
        "GET * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT x:80 HTTP/1.1",
        "TRACE / HTTP/1.1",
        "GET /fine/../fine HTTP/1.1",
        "GET /f%69ne HTTP/1.1",
        // RFC 9112, section 3.2: one `Host`, and `ask` has one.
        "GET /fine HTTP/1.1\r\nhost: y",
        "GET http://y/fine HTTP/1.1\r\nhost: y",
    ] {
        let answer = ask(server.address, head, "").await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{head}: {answer}");
    }
    let absolute = ask(server.address, "GET http://elsewhere.example/fine HTTP/1.1", "").await;
    assert!(absolute.starts_with("HTTP/1.1 200"), "{absolute}");
    let old = ask(server.address, "GET /fine HTTP/1.0", "").await;
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
    assert_works(&server.client().await).await;
}

#[tokio::test]
async fn a_trace_continues_into_a_request() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c8031a1";
    const PARENT: &str = "b7ad6b7169203331";
    let server = Server::start(config()).await;
    for (path, status) in [
        (format!("/fine?{SECRET}"), "200"),
        (format!("/{SECRET}"), "404"),
        ("/panic".to_owned(), "500"),
    ] {
        let head =
            format!("GET {path} HTTP/1.1\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\nauthorization: Bearer {SECRET}");
        let answer = ask(server.address, &head, "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let trace = TraceId::from_hex(TRACE).unwrap();
    let ended = || {
        let of_trace = |span: &SpanData| span.span_context.trace_id() == trace;
        let spans = spans().get_finished_spans().unwrap();
        spans.into_iter().filter(of_trace).collect::<Vec<_>>()
    };
    until(|| async { ended().len() == 3 }).await;
    let ended = ended();
    let names: Vec<_> = ended.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["GET /fine", "GET unknown", "GET /panic"]);
    for span in &ended {
        assert_eq!(
            (span.parent_span_id, &span.span_kind),
            (SpanId::from_hex(PARENT).unwrap(), &SpanKind::Server)
        );
        assert!(!format!("{span:?}").contains(SECRET), "{span:?}");
        let failed = matches!(span.status, Status::Error { .. });
        assert_eq!(failed, span.name == "GET /panic");
    }
}
