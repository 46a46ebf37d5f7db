//! Traces across processes.

use crate::support::{SECRET, Server, config, spans, until};
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::trace::SpanData;
use tonic::Request;

const PARENT: &str = "b7ad6b7169203331";

/// The ended span of that name in a trace, which only one test has.
async fn span_of(trace: &str, name: &str) -> SpanData {
    let trace = TraceId::from_hex(trace).unwrap();
    let matches = |span: &SpanData| span.name == name && span.span_context.trace_id() == trace;
    let find = || spans().get_finished_spans().unwrap().into_iter().find(matches);
    until(|| async { find().is_some() }).await;
    find().unwrap()
}

fn traced(trace: &str, message: &str) -> Request<String> {
    let mut request = Request::new(message.to_owned());
    request
        .metadata_mut()
        .insert("traceparent", format!("00-{trace}-{PARENT}-01").parse().unwrap());
    request
}

#[tokio::test]
async fn a_trace_continues_into_the_call_and_out_of_it_again() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c803191";
    let server = Server::start(config()).await;
    let client = server.client().await;

    let passed_on = client.send("Context", traced(TRACE, "")).await.unwrap().into_inner();
    let span = span_of(TRACE, "test.v1.Callee/Context").await;
    assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(passed_on, format!("00-{TRACE}-{}-01", span.span_context.span_id()));
}

#[tokio::test]
async fn a_call_without_a_trace_begins_one() {
    let server = Server::start(config()).await;
    let begun = server.client().await.call("Context", "").await.unwrap();

    let trace = begun.split('-').nth(1).unwrap();
    let span = span_of(trace, "test.v1.Callee/Context").await;
    assert_eq!(span.parent_span_id, SpanId::INVALID);
}

#[tokio::test]
async fn a_span_tells_the_method_and_the_code_and_nothing_of_the_content() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c803192";
    let server = Server::start(config()).await;
    let client = server.client().await;
    let mut request = traced(TRACE, SECRET);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {SECRET}").parse().unwrap());
    client.send("Echo", request).await.unwrap();
    client.send("Panic", traced(TRACE, SECRET)).await.unwrap_err();
    client.send(SECRET, traced(TRACE, "")).await.unwrap_err();

    let echo = span_of(TRACE, "test.v1.Callee/Echo").await;
    let panicked = span_of(TRACE, "test.v1.Callee/Panic").await;
    span_of(TRACE, "unknown/unknown").await;
    let code = |span: &SpanData| {
        let attribute = span
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == "rpc.grpc.status_code");
        attribute.unwrap().value.to_string()
    };
    assert_eq!((code(&echo).as_str(), code(&panicked).as_str()), ("0", "13"));
    assert_eq!(echo.status, Status::Unset);
    assert!(matches!(panicked.status, Status::Error { .. }));
    let all = format!("{:?}", spans().get_finished_spans().unwrap());
    assert!(!all.contains(SECRET), "{all}");
}

#[tokio::test]
async fn health_is_not_traced() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c803193";
    let server = Server::start(config()).await;
    let client = server.client().await;
    assert!(client.is_serving().await);
    client.send("Echo", traced(TRACE, "")).await.unwrap();
    span_of(TRACE, "test.v1.Callee/Echo").await;
    let spans = spans().get_finished_spans().unwrap();
    assert!(spans.iter().all(|span| !span.name.contains("Health")), "{spans:?}");
}
