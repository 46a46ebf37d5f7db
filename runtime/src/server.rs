//! A server of gRPC and HTTP with everything that is the same for each of them: health, reflection, limits, observation, shutdown.

use crate::{
    body::BodyBudget,
    config::ServerConfig,
    connection::{self, Cutter},
    front::Front,
    health::Readiness,
    http::{Http, HttpRoutes},
    lane::Lane,
    rpc::{Handler, Limits, Methods, Rpc},
    shutdown::Shutdown,
    workers,
};
use futures::StreamExt;
use std::{fmt, io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time};
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;

/// The most that calls which were cut may still take to disappear.
const CUT_TIMEOUT: Duration = Duration::from_secs(1);
/// The largest message that health and reflection take, in bytes: a name.
const SIDE_MESSAGE_BYTES: usize = 4_096;
/// The service that says whether the others can work.
pub(crate) const HEALTH: &str = "grpc.health.v1.Health";
pub(crate) const REFLECTION: [&str; 2] = [
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Why a server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file descriptor set that was passed to [`Services`] is broken.
    #[error("the services cannot be described: {0}")]
    Descriptors(Box<dyn std::error::Error + Send + Sync>),
    /// The listener is unusable.
    #[error("cannot serve on this listener: {0}")]
    Listener(#[from] io::Error),
    /// A thread to serve on could not be started, or ended before its time.
    #[error("cannot serve on a thread of its own: {0}")]
    Worker(io::Error),
}

/// The gRPC services of a server, the descriptors that reflection shows for them, and what it answers over HTTP.
#[derive(Clone, Default)]
pub struct Services {
    handlers: Vec<(&'static str, Arc<dyn Handler>)>,
    descriptor_sets: Vec<&'static [u8]>,
    http: HttpRoutes,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("names", &self.names())
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

impl Services {
    /// No services yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds encoded file descriptor sets. They may describe more than is served: reflection lists only what is.
    #[must_use]
    pub fn with_descriptors(mut self, encoded_file_descriptor_set: &'static [u8]) -> Self {
        self.descriptor_sets.push(encoded_file_descriptor_set);
        self
    }

    /// Adds a service as tonic generates it. tonic limits messages per service: set
    /// [`max_message_bytes`](ServerConfig::max_message_bytes) on it first.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Handler + NamedService,
    {
        self.handlers.push((S::NAME, Arc::new(service)));
        self
    }

    /// Answers these beside gRPC, on the same port.
    #[must_use]
    pub fn with_http(mut self, routes: HttpRoutes) -> Self {
        self.http = routes;
        self
    }

    /// The names of the services added, as [`Readiness::watch`] wants them.
    pub fn names(&self) -> Vec<&'static str> {
        self.handlers.iter().map(|(name, _)| *name).collect()
    }
}

/// Serves until `shutdown`, and returns when the last call has ended or was cut.
///
/// Adds `grpc.health.v1.Health` and reflection (v1, and v1alpha for the clients that know no other), and holds every call
/// to the limits of `config`. When a shutdown begins, health turns to `NOT_SERVING` at once; after
/// [`drain`](ServerConfig::drain) no more connections are accepted and the clients of open ones are told to leave; after
/// [`grace`](ServerConfig::grace), or when the second stage is asked for, what is left is cut.
///
/// # Errors
/// The listener, the descriptors or the TLS settings are unusable.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    config: ServerConfig,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let front = assemble(services, &config, &readiness)?;
    if let Some(tls) = &config.tls {
        tls.keep_current(&shutdown);
    }
    let (closing, cut) = (CancellationToken::new(), Cutter::default());
    // Clients are told to leave when the listener is closed: before that they would come back at once.
    let closed = CancellationToken::new();
    let accepted = connection::accept(listener, config.max_connections, closing.clone(), closed.clone());
    let lane = Lane::new(&config, front, closed, cut.clone());
    tracing::info!(%address, tls = config.tls.is_some(), workers = config.workers, "serving");

    let mut serving = std::pin::pin!(async {
        if config.workers == 0 {
            lane.serve(accepted.boxed()).await;
            Ok(())
        } else {
            workers::serve(config.workers, accepted.boxed(), move |incoming| {
                lane.clone().serve(incoming)
            })
            .await
        }
    });
    let mut draining = std::pin::pin!(drain(&config, &readiness, &shutdown, &closing));
    let mut is_drained = false;
    loop {
        tokio::select! {
            outcome = &mut serving => {
                outcome?;
                break;
            }
            () = &mut draining, if !is_drained => is_drained = true,
            () = exhausted(&config, &shutdown) => {
                tracing::warn!("calls in flight are cut");
                cut.cut();
                // A connection that does not even notice is dropped with the process.
                let _ = time::timeout(CUT_TIMEOUT, serving).await;
                break;
            }
        }
    }
    tracing::info!(%address, "stopped serving");
    Ok(())
}

/// Waits for the end of the first half of stage 1: everyone had the time to look elsewhere.
async fn drain(config: &ServerConfig, readiness: &Readiness, shutdown: &Shutdown, closing: &CancellationToken) {
    shutdown.draining().await;
    readiness.withdrawn().await;
    wait_or_cut(config.drain, shutdown).await;
    readiness.close().await;
    closing.cancel();
}

/// Waits for stage 2.
async fn exhausted(config: &ServerConfig, shutdown: &Shutdown) {
    shutdown.draining().await;
    wait_or_cut(config.drain + config.grace, shutdown).await;
}

async fn wait_or_cut(wait: Duration, shutdown: &Shutdown) {
    tokio::select! {
        () = time::sleep(wait) => {}
        () = shutdown.cut() => {}
    }
}

/// The services with health and reflection beside them, behind what every call passes through.
fn assemble(services: Services, config: &ServerConfig, readiness: &Readiness) -> Result<Front, ServeError> {
    let mut names = services.names();
    names.push(HEALTH);
    names.extend(REFLECTION);
    let mut described = services.descriptor_sets.clone();
    described.push(tonic_health::pb::FILE_DESCRIPTOR_SET);
    // So that a client that knows us by reflection alone can read the details of an error.
    described.push(tonic_types::pb::FILE_DESCRIPTOR_SET);
    // Each version lists the other, so it must describe it too: `grpcurl describe` asks for all that is listed.
    described.push(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET);
    described.push(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET);

    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure();
        let builder = described.iter().fold(builder, |builder, set| {
            builder.register_encoded_file_descriptor_set(set)
        });
        names
            .iter()
            .fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let (v1, v1alpha) = (reflection(), reflection());
    let describe = |error: tonic_reflection::server::Error| ServeError::Descriptors(error.into());
    let limit = config.max_message_bytes.min(SIDE_MESSAGE_BYTES);
    let services = services
        .add_service(readiness.health_server().max_decoding_message_size(limit))
        .add_service(v1.build_v1().map_err(describe)?.max_decoding_message_size(limit))
        .add_service(
            v1alpha
                .build_v1alpha()
                .map_err(describe)?
                .max_decoding_message_size(limit),
        );
    let methods = Methods::new(&services.handlers, &described);
    let methods = methods.map_err(|error| ServeError::Descriptors(error.into()))?;
    let limits = Limits::new(config);
    let bodies = BodyBudget::new(config.max_message_bytes);
    let http = Http::new(services.http, config, limits.clone(), bodies.clone());
    Ok(Front::new(Rpc::new(methods, limits, bodies), http))
}
