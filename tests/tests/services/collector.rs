//! Who receives traces: a sink that keeps every span, and a real OpenTelemetry collector, which tells only how many it got.

use std::process::Command;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokenbind_tests::{DEADLINE, Process, free_port, tool, wait_until};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A span, and the `service.name` that sent it.
pub(crate) type Received = (String, Span);

/// Keeps what it receives.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<Received>>>);

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for group in request.into_inner().resource_spans {
            let name = group
                .resource
                .iter()
                .flat_map(|resource| &resource.attributes)
                .find_map(|attribute| (attribute.key == "service.name").then(|| format!("{:?}", attribute.value)));
            let name = name.unwrap_or_default();
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().unwrap().extend(spans.map(|span| (name.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Sink {
    /// Starts one; answers its endpoint.
    pub(crate) async fn start() -> (Self, String) {
        let sink = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(TraceServiceServer::new(sink.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (sink, endpoint)
    }

    /// Waits for spans that are all of this trace, until there are so many.
    pub(crate) async fn wait_for_trace(&self, trace_id: &[u8], count: usize) -> Vec<Received> {
        wait_until("the spans arrive", DEADLINE, async || {
            let received = self.0.lock().unwrap();
            let ours = received.iter().filter(|(_, span)| span.trace_id == trace_id);
            let ours: Vec<_> = ours.cloned().collect();
            (ours.len() >= count).then_some(ours)
        })
        .await
    }
}

/// Starts a collector; answers its endpoint.
///
/// A port that is free now may be taken a moment later: then the collector ends, and other ports are tried.
pub(crate) async fn start_rotel() -> (Process, String) {
    let program = tool("TOKENBIND_TEST_ROTEL", "rotel-agent")
        .expect("`scripts/setup` gets a collector, and `. .tools/env` tells where");
    let mut tries = 0..5;
    loop {
        tries.next().unwrap();
        let (grpc, http) = (free_port(), free_port());
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(&program);
        command.arg("start").current_dir(folder.path());
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")]);
        command.args(["--exporter", "blackhole", "--debug-log", "traces"]);
        for (flag, file) in [("--pid-file", "pid"), ("--log-file", "log")] {
            command.arg(flag).arg(folder.path().join(file));
        }
        let mut process = Process::start("rotel", command);
        let started = wait_until("the collector listens", DEADLINE, async || {
            let listens = TcpStream::connect(("127.0.0.1", grpc)).await.is_ok();
            (listens || process.ended().is_some()).then_some(listens)
        })
        .await;
        if started && process.ended().is_none() {
            return (process, format!("http://127.0.0.1:{grpc}"));
        }
    }
}
