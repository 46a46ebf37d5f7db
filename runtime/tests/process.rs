//! What is global to a process: telemetry and signals. A process of its own for each.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use std::{
    env,
    process::{Command, Output},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokenbind_runtime::{
    config::{LogFormat, TelemetryConfig},
    shutdown::Shutdown,
    telemetry,
};
use tokio::{net::TcpListener, time::timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

const COLLECTOR: &str = "TEST_COLLECTOR";
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs one of the tests below, which are ignored otherwise, in a process of its own.
fn run(test: &str, collector: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(COLLECTOR, collector)
        .output()
        .unwrap()
}

fn assert_success(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn traces_reach_the_collector_before_the_process_ends() {
    let collector = Collector::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = TraceServiceServer::new(collector.clone());
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );

    for test in ["telemetry_is_shut_down", "telemetry_is_dropped"] {
        let target = endpoint.clone();
        assert_success(&tokio::task::spawn_blocking(move || run(test, &target)).await.unwrap());
        let received = format!("{:?}", collector.0.lock().unwrap().split_off(0));
        assert!(
            received.contains("the span") && received.contains("test-service"),
            "{test}: {received}"
        );
        assert!(
            received.contains("an event") && !received.contains("a library"),
            "{test}: {received}"
        );
    }
}

fn say_something() {
    tracing::debug_span!(target: "tokenbind_test", "the span").in_scope(|| {
        tracing::info!(target: "tokenbind_test", "an event");
        tracing::info!(target: "other", "from a library");
    });
}

fn init() -> telemetry::Telemetry {
    let collector = Some(env::var(COLLECTOR).unwrap()).filter(|collector| !collector.is_empty());
    let config = TelemetryConfig {
        log_format: LogFormat::Json,
        otlp_endpoint: collector,
        ..TelemetryConfig::default()
    };
    let telemetry = telemetry::init("test-service", &config).unwrap();
    telemetry::init("test-service", &config).unwrap_err();
    telemetry
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn telemetry_is_shut_down() {
    let telemetry = init();
    say_something();
    telemetry.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own"]
async fn telemetry_is_dropped() {
    let telemetry = init();
    say_something();
    drop(telemetry);
}

#[test]
fn logs_are_json_on_stderr_even_in_a_panic() {
    let output = run("something_is_logged", "");
    assert_success(&output);
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stderr)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let find = |message: &str| lines.iter().find(|line| line["message"] == message).unwrap();
    assert_eq!(find("an event")["level"], "INFO");
    assert_eq!(find("went wrong")["level"], "ERROR");
    assert!(find("went wrong")["location"].as_str().unwrap().contains("process.rs"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("an event"));
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn something_is_logged() {
    let telemetry = init();
    say_something();
    tokio::spawn(async { panic!("went wrong") }).await.unwrap_err();
    telemetry.shutdown().await;
}

#[test]
fn a_signal_drains_and_another_cuts() {
    assert_success(&run("signals_are_obeyed", ""));
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn signals_are_obeyed() {
    let shutdown = Shutdown::on_signals().unwrap();
    let kill = |signal: &str| {
        let id = std::process::id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    };
    assert!(!shutdown.is_draining());

    kill("-TERM");
    timeout(PATIENCE, shutdown.draining()).await.unwrap();
    assert!(
        timeout(Duration::from_millis(50), shutdown.cut()).await.is_err(),
        "one signal is not two"
    );

    kill("-INT");
    timeout(PATIENCE, shutdown.cut()).await.unwrap();
    timeout(PATIENCE, shutdown.finish()).await.unwrap();
}
