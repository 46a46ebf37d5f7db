//! A server under test, and how to talk to it.

mod callee;
mod raw;
mod spans;

pub(crate) use callee::{Callee, SECRET, SERVICE};
pub(crate) use raw::{RawConnection, status};
pub(crate) use spans::spans;

use futures::future::BoxFuture;
use http::uri::PathAndQuery;
use std::{future::Future, net::SocketAddr, time::Duration};
use tokenbind_runtime::{
    config::ServerConfig,
    health::Readiness,
    server::{self, ServeError, Services},
    shutdown::Shutdown,
};
use tokio::{net::TcpListener, task::JoinHandle, time};
use tonic::{
    Code, Request, Response, Status, Streaming,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_prost::ProstCodec;

/// Longer than anything here takes, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must come.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    time::timeout(PATIENCE, future).await.expect("it never happened")
}

/// Waits until an observation holds.
pub(crate) async fn until<F: Future<Output = bool>>(mut observation: impl FnMut() -> F) {
    within(async {
        while !observation().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The configuration that most tests want: it stops at once, and waits for calls longer than a test does.
pub(crate) fn config() -> ServerConfig {
    ServerConfig {
        drain: Duration::ZERO,
        grace: 10 * PATIENCE,
        request_timeout: 10 * PATIENCE,
        ..ServerConfig::new(([127, 0, 0, 1], 0).into())
    }
}

/// A server under test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) callee: Callee,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: Shutdown,
    pub(crate) serving: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(crate) async fn start(config: ServerConfig) -> Self {
        let server = Self::start_with_probe(config, || Box::pin(async { Ok(()) })).await;
        assert!(within(server.readiness.ready()).await);
        server
    }

    pub(crate) async fn start_with_probe<P>(config: ServerConfig, probe: P) -> Self
    where
        P: Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        spans();
        let shutdown = Shutdown::manual();
        let callee = Callee::default();
        let services = Services::new()
            .with_descriptors(Callee::descriptors())
            .add_service(callee.clone())
            .with_http(crate::http::routes());
        let readiness = Readiness::watch(&services.names(), probe, Duration::from_millis(5), &shutdown).await;
        let listener = TcpListener::bind(config.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(server::serve(
            listener,
            services,
            config,
            readiness.clone(),
            shutdown.clone(),
        ));
        Self {
            address,
            callee,
            readiness,
            shutdown,
            serving,
        }
    }

    /// A client with a connection of its own.
    pub(crate) async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }

    pub(crate) async fn try_client(&self) -> Result<Client, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.map(Client)
    }

    /// Whether `serve` returns, and without an error.
    pub(crate) async fn stopped(self) {
        within(self.serving).await.unwrap().unwrap();
        within(self.shutdown.finish()).await;
    }
}

/// A client of [`Callee`] and of health.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) Channel);

impl Client {
    pub(crate) async fn call(&self, method: &str, message: &str) -> Result<String, Status> {
        self.send(method, Request::new(message.to_owned()))
            .await
            .map(Response::into_inner)
    }

    pub(crate) async fn send(&self, method: &str, request: Request<String>) -> Result<Response<String>, Status> {
        within(async {
            let mut grpc = Grpc::new(self.0.clone());
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.unary(request, path(method), ProstCodec::default()).await
        })
        .await
    }

    pub(crate) async fn stream(&self, method: &str) -> Result<Streaming<String>, Status> {
        within(async {
            let mut grpc = Grpc::new(self.0.clone());
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            let answer = grpc.server_streaming(Request::new(String::new()), path(method), ProstCodec::default());
            answer.await.map(Response::into_inner)
        })
        .await
    }

    /// Starts a call in the background.
    pub(crate) fn spawn(&self, method: &'static str) -> JoinHandle<Result<String, Status>> {
        let client = self.clone();
        tokio::spawn(async move { client.call(method, "").await })
    }

    pub(crate) async fn health(&self, service: &str) -> Result<ServingStatus, Status> {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        within(HealthClient::new(self.0.clone()).check(request))
            .await
            .map(|answer| answer.get_ref().status())
    }

    pub(crate) async fn is_serving(&self) -> bool {
        self.health("").await.unwrap() == ServingStatus::Serving
    }
}

/// A negative test ends with this: the right request still works.
pub(crate) async fn assert_works(client: &Client) {
    assert_eq!(client.call("Echo", "still here").await.unwrap(), "still here");
}

pub(crate) fn assert_code<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code) -> Status {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    status
}

fn path(method: &str) -> PathAndQuery {
    format!("/{SERVICE}/{method}").parse().unwrap()
}
