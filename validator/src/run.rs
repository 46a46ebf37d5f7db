//! Putting a validator together and serving it.

use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;
use thiserror::Error;
use tokenbind_index::Namespace;
use tokenbind_index::redis::ConnectError;
use tokenbind_proto::answering::validation_service_server::ValidationServiceServer;
use tokenbind_proto::v1::FILE_DESCRIPTOR_SET;
use tokenbind_runtime::admin::AdminServer;
use tokenbind_runtime::config::ServerConfig;
use tokenbind_runtime::health::{DEFAULT_INTERVAL, Readiness};
use tokenbind_runtime::server::{self, ServeError, Services};
use tokenbind_runtime::shutdown::Shutdown;
use tokenbind_runtime::telemetry::{self, Telemetry, TelemetryError};
use tokenbind_runtime::tls::ServerTls;
use tokio::net::TcpListener;

use crate::args::ValidatorConfig;
use crate::caller::Callers;
use crate::connect;
use crate::engine::Validator;
use crate::facts::FactInputs;
use crate::transport::grpc::ValidationGrpc;
use crate::transport::http::{self, Identity};
use crate::watch::{OpenCalls, OpenLimits};

/// What a validator needs from outside.
#[derive(Clone)]
pub struct ValidatorSetup {
    /// The index, what tells its changes, the time of day, and how much may be kept.
    pub facts: FactInputs,
    /// The namespace of the index, which binding refs are made in.
    pub namespace: Namespace,
    /// Callers without credentials count as this resource. For development only.
    pub unauthenticated_callers_as: Option<String>,
    /// As whom it introspects over HTTP.
    pub identity: Option<Identity>,
}

impl std::fmt::Debug for ValidatorSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("ValidatorSetup");
        debug.field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// A validator that is about to be served.
#[derive(Debug)]
pub struct ValidatorServer {
    listener: TcpListener,
    services: Services,
    config: ServerConfig,
    readiness: Readiness,
    shutdown: Shutdown,
}

impl ValidatorServer {
    /// Puts it together. It is `NOT_SERVING` until the index answers.
    pub async fn new(listener: TcpListener, setup: ValidatorSetup, config: ServerConfig, shutdown: Shutdown) -> Self {
        Self::limited(listener, setup, OpenLimits::default(), config, shutdown).await
    }

    /// The same with another number of calls that may stay open.
    pub async fn limited(
        listener: TcpListener,
        setup: ValidatorSetup,
        limits: OpenLimits,
        config: ServerConfig,
        shutdown: Shutdown,
    ) -> Self {
        if let Some(resource) = &setup.unauthenticated_callers_as {
            tracing::warn!(
                resource,
                "callers without credentials are answered as this resource: for development only"
            );
        }
        let services = services(&setup, limits, &config, &shutdown);
        let probe = move || probe(setup.facts.clone());
        let readiness = Readiness::watch(&services.names(), probe, DEFAULT_INTERVAL, &shutdown).await;
        Self {
            listener,
            services,
            config,
            readiness,
            shutdown,
        }
    }

    /// Whether it can answer.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Serves until the shutdown.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve(self) -> Result<(), ServeError> {
        server::serve(self.listener, self.services, self.config, self.readiness, self.shutdown).await
    }
}

/// Serves a validator until the shutdown. The address that it listens on is logged.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    setup: ValidatorSetup,
    server: ServerConfig,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    ValidatorServer::new(listener, setup, server, shutdown)
        .await
        .serve()
        .await
}

fn probe(facts: FactInputs) -> BoxFuture<'static, Result<(), String>> {
    Box::pin(async move { facts.probe().await })
}

fn services(setup: &ValidatorSetup, limits: OpenLimits, config: &ServerConfig, shutdown: &Shutdown) -> Services {
    let validator = Validator::new(setup.facts.clone(), setup.namespace.clone());
    let callers = Callers::new(&setup.facts, setup.unauthenticated_callers_as.clone());
    let validator = Arc::new(validator);
    let routes = http::routes(
        Arc::clone(&validator),
        callers.clone(),
        Arc::clone(&setup.facts.clock),
        setup.identity.clone(),
        config.tls.as_ref().is_some_and(ServerTls::asks_for_certificates),
    );
    let calls = OpenCalls::new(&setup.facts, limits).ending_with(shutdown.clone(), config.drain);
    let service = ValidationServiceServer::new(ValidationGrpc::new(validator, callers, calls))
        .max_decoding_message_size(config.max_message_bytes);
    Services::new()
        .with_descriptors(FILE_DESCRIPTOR_SET)
        .add_service(service)
        .with_http(routes)
}

/// Why a validator process ended before it was told to.
#[derive(Debug, Error)]
pub enum RunError {
    /// Logs, traces or metrics cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] ConnectError),
    /// An address cannot be listened on, or signals cannot be received.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What came of it.
        error: io::Error,
    },
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> RunError {
    let what = what.into();
    move |error| RunError::Io { what, error }
}

/// Runs a validator over Redis until a signal tells it to stop. The last traces are sent on every way out.
///
/// # Errors
/// See [`RunError`].
pub async fn run(config: ValidatorConfig) -> Result<(), RunError> {
    let telemetry = telemetry::init("tokenbind-validator", &config.telemetry)?;
    let outcome = run_with(config, &telemetry).await;
    if let Err(error) = &outcome {
        tracing::error!(%error, "stopped");
    }
    telemetry.shutdown().await;
    outcome
}

async fn run_with(config: ValidatorConfig, telemetry: &Telemetry) -> Result<(), RunError> {
    let shutdown = Shutdown::on_signals().map_err(io_error("cannot receive signals"))?;
    let listen = config.server.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(io_error(format!("cannot listen on {listen}")))?;
    let admin = match config.telemetry.metrics_listen.zip(telemetry.metrics()) {
        Some((address, metrics)) => {
            let admin = AdminServer::bind(address, metrics).await;
            Some(admin.map_err(io_error(format!("cannot listen on {address}")))?)
        }
        None => None,
    };
    let setup = ValidatorSetup {
        facts: connect::over_redis(&config.redis, config.lease, config.skew, config.cache).await?,
        namespace: config.redis.namespace,
        unauthenticated_callers_as: config.unauthenticated_callers_as,
        identity: config.identity,
    };
    let server = ValidatorServer::limited(listener, setup, config.open, config.server, shutdown.clone()).await;
    if let Some(admin) = admin {
        admin.spawn(vec![server.readiness().clone()], &shutdown);
    }
    let outcome = server.serve().await;
    shutdown.finish().await;
    Ok(outcome?)
}
