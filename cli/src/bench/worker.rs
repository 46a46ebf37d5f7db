//! A service in a process of its own, as the benchmark starts it: told over standard input what to be, and gone when that ends.

use std::io::BufRead as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokenbind_index::redis::{RedisIndex, RedisOptions, RedisTracking};
use tokenbind_index::{Clock, Namespace, SystemClock};
use tokenbind_issuer::run::{self as issuer_run, IssuerSetup};
use tokenbind_issuer::transport::http::HttpSettings;
use tokenbind_runtime::config::ServerConfig;
use tokenbind_runtime::shutdown::Shutdown;
use tokenbind_validator::facts::{CacheLimits, FactInputs};
use tokenbind_validator::run::{ValidatorServer, ValidatorSetup};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};

use super::args::Flavour;
use super::echo::{self, Canned};
use super::{failed, fill, machine};
use crate::error::{CliError, Exit};
use crate::output::print_line;

/// As the validator's default.
const LEASE: Duration = Duration::from_secs(2);

/// What to be.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Role {
    /// An issuer with generated keys.
    Issuer(IndexConfig),
    /// A validator that keeps this many tokens, and bytes of them.
    Validator(IndexConfig, u64, u64),
    /// The bare service.
    Echo(Canned),
}

/// Where the index is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IndexConfig {
    redis_url: String,
    namespace: String,
}

impl IndexConfig {
    pub(super) fn new(redis_url: &SecretString, namespace: &Namespace) -> Self {
        Self {
            redis_url: redis_url.expose_secret().to_owned(),
            namespace: namespace.as_str().to_owned(),
        }
    }

    fn options(&self) -> Result<RedisOptions, CliError> {
        let namespace = Namespace::parse(&self.namespace).map_err(failed)?;
        Ok(RedisOptions::new(self.redis_url.clone().into(), namespace))
    }
}

/// What a worker reads.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WorkerConfig {
    pub(super) role: Role,
    pub(super) cores: Vec<usize>,
    pub(super) runtime: Flavour,
}

/// What a worker answers when it serves.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Serving {
    pub(super) address: SocketAddr,
}

/// Runs a worker until standard input ends.
pub(crate) async fn run() -> Result<Exit, CliError> {
    tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
        let config: WorkerConfig = serde_json::from_str(&line).map_err(failed)?;
        let service = thread::spawn(move || serve(config));
        // Nothing else comes: it ends with whoever started this process.
        let parent_is_gone = || std::io::stdin().lock().read_line(&mut String::new());
        let _ = parent_is_gone();
        match service.is_finished().then(|| service.join()) {
            Some(Ok(Err(error))) => Err(error),
            _ => Ok(Exit::Fine),
        }
    })
    .await
    .map_err(failed)?
}

fn serve(config: WorkerConfig) -> Result<(), CliError> {
    machine::pin(None, &config.cores).map_err(failed)?;
    let runtime = runtime(config.runtime, config.cores.len()).map_err(failed)?;
    let workers = match config.runtime {
        Flavour::CurrentThread => config.cores.len().max(1),
        Flavour::MultiThread => 0,
    };
    let outcome = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        match config.role {
            Role::Issuer(index) => serve_issuer(listener, &index, workers).await,
            Role::Validator(index, entries, bytes) => {
                serve_validator(listener, &index, CacheLimits { entries, bytes }, workers).await
            }
            Role::Echo(canned) => {
                announce(&listener)?;
                echo::serve(listener, canned).await
            }
        }
    });
    if let Err(error) = &outcome {
        tracing::error!(%error, "the worker stopped");
        std::process::exit(1);
    }
    outcome
}

fn runtime(flavour: Flavour, cores: usize) -> std::io::Result<Runtime> {
    match flavour {
        Flavour::CurrentThread => runtime::Builder::new_current_thread().enable_all().build(),
        Flavour::MultiThread => {
            let mut builder = runtime::Builder::new_multi_thread();
            if cores > 0 {
                builder.worker_threads(cores);
            }
            builder.enable_all().build()
        }
    }
}

async fn serve_issuer(listener: TcpListener, index: &IndexConfig, workers: usize) -> Result<(), CliError> {
    let options = index.options()?;
    let issuer = fill::issuer(&options.url, &options.namespace).await?;
    let shutdown = Shutdown::manual();
    let setup = IssuerSetup {
        issuer,
        catalog: None,
        http: HttpSettings::default(),
    };
    let mut config = ServerConfig::new(config_address(&listener)?);
    config.workers = workers;
    let prepared = issuer_run::prepare(setup, config, &shutdown).await.map_err(failed)?;
    let readiness = prepared.readiness();
    let announced = async {
        readiness.ready().await;
        announce_address(config_address(&listener)?)
    };
    announced.await?;
    prepared.serve(listener).await.map_err(failed)
}

async fn serve_validator(
    listener: TcpListener,
    index: &IndexConfig,
    limits: CacheLimits,
    workers: usize,
) -> Result<(), CliError> {
    let options = index.options()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = RedisIndex::connect(&options).await.map_err(failed)?;
    let tracking = RedisTracking::start(&options, Arc::clone(&clock), LEASE).map_err(failed)?;
    let setup = ValidatorSetup {
        facts: FactInputs {
            store: Arc::new(store),
            tracking: Some(Arc::new(tracking)),
            clock,
            limits,
        },
        namespace: options.namespace,
        unauthenticated_callers_as: None,
        identity: None,
    };
    let address = config_address(&listener)?;
    let mut config = ServerConfig::new(address);
    config.workers = workers;
    let server = ValidatorServer::new(listener, setup, config, Shutdown::manual()).await;
    server.readiness().ready().await;
    announce_address(address)?;
    server.serve().await.map_err(failed)
}

fn config_address(listener: &TcpListener) -> Result<SocketAddr, CliError> {
    listener.local_addr().map_err(failed)
}

fn announce(listener: &TcpListener) -> Result<(), CliError> {
    announce_address(config_address(listener)?)
}

fn announce_address(address: SocketAddr) -> Result<(), CliError> {
    let line = serde_json::to_string(&Serving { address }).map_err(failed)?;
    print_line(&line)
}
