//! OpenTelemetry: the trace that a caller began goes on in the services, and a real collector takes it.

use tokenbind_proto::v1::{TokenFormat, ValidateTokenRequest};
use tokenbind_tests::{Ask as _, DEADLINE, Stack, client_credentials, wait_until, with_authorization};
use tonic::Request;

use crate::collector::{Sink, start_rotel};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn traced<T>(mut request: Request<T>) -> Request<T> {
    let header = format!("00-{TRACE_ID}-{PARENT_ID}-01");
    request.metadata_mut().insert("traceparent", header.parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callers_trace_goes_on_in_both_services() {
    let (sink, endpoint) = Sink::start().await;
    let arguments = ["--otlp-endpoint", &endpoint];
    let stack = Stack::redis(&arguments, &arguments).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let api = stack.api("api", &[&app]).await;
    let request = client_credentials().by(&app.id, &app.secret).bound_to("canary-device");
    let issued = stack
        .tokens()
        .issue_token(traced(Request::new(request)))
        .await
        .unwrap()
        .into_inner();
    let question = ValidateTokenRequest {
        token: issued.access_token.clone(),
        ..Default::default()
    };
    let question = traced(with_authorization(question, &api.basic()));
    stack.validation().validate_token(question).await.unwrap();

    let spans = sink.wait_for_trace(&bytes(TRACE_ID), 2).await;
    for (service, name) in [
        ("tokenbind-issuer", "tokenbind.v1.TokenService/IssueToken"),
        ("tokenbind-validator", "tokenbind.v1.ValidationService/ValidateToken"),
    ] {
        let (_, span) = spans
            .iter()
            .find(|(from, span)| from.contains(service) && span.name == name)
            .unwrap();
        assert_eq!(
            span.parent_span_id,
            bytes(PARENT_ID),
            "{name} continues the caller's span"
        );
    }
    // A18
    let shown = format!("{spans:?}");
    for secret in [&issued.access_token, &app.secret, &api.secret, "canary-device"] {
        assert!(!shown.contains(secret));
    }
}

#[tokio::test]
async fn a_real_collector_takes_the_traces() {
    let (collector, endpoint) = start_rotel().await;
    let arguments = ["--otlp-endpoint", &endpoint];
    let mut stack = Stack::redis(&arguments, &arguments).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let request = client_credentials().by(&app.id, &app.secret);
    stack.tokens().issue_token(traced(Request::new(request))).await.unwrap();
    // What is not sent yet is sent on the way out.
    for process in &mut stack.processes {
        process.terminate();
        assert!(process.wait(DEADLINE).await.success());
    }
    wait_until("the collector tells of spans", DEADLINE, async || {
        collector.printed().contains("Received traces").then_some(())
    })
    .await;
}
