//! Starts both services in this process, and stops them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokenbind_index::{AttemptCounters, Clock, Entropy, Store, SystemClock, SystemEntropy, TrackedIndex};
use tokenbind_issuer::Issuer;
use tokenbind_issuer::applications::Applications;
use tokenbind_issuer::directory::Directory;
use tokenbind_issuer::opaque::OpaqueKeys;
use tokenbind_issuer::password::PasswordPool;
use tokenbind_issuer::run::{self as issuer_run, IssuerSetup, PreparedIssuer};
use tokenbind_issuer::signing::KeyRing;
use tokenbind_issuer::throttle::{PeerAddresses, Throttle};
use tokenbind_issuer::transport::http::HttpSettings;
use tokenbind_issuer::trust::Trust;
use tokenbind_runtime::admin::AdminServer;
use tokenbind_runtime::config::{ServerConfig, TelemetryConfig};
use tokenbind_runtime::health::Readiness;
use tokenbind_runtime::shutdown::Shutdown;
use tokenbind_runtime::telemetry::Telemetry;
use tokenbind_validator::facts::{CacheLimits, FactInputs};
use tokenbind_validator::run::{ValidatorServer, ValidatorSetup};
use tokio::net::TcpListener;

use super::args::{DevArgs, DevConfig};
use super::ready::Ready;
use super::seeded::Seeded;
use super::{samples, store};
use crate::error::{CliError, Exit};
use crate::output::Output;

/// The claim `iss`, wherever the stack listens: several of them on one Redis are one issuer.
const ISSUER_URL: &str = "http://localhost:7001";
/// Nobody balances load between development stacks, so nothing is gained by waiting.
const GRACE: Duration = Duration::from_secs(2);

/// What both services share.
struct Shared {
    store: Arc<dyn Store>,
    tracking: Arc<dyn TrackedIndex>,
    attempts: Arc<dyn AttemptCounters>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Runs the stack until a signal tells it to stop.
pub(crate) async fn run(
    arguments: DevArgs,
    observed: &TelemetryConfig,
    telemetry: &Telemetry,
    output: Output,
) -> Result<Exit, CliError> {
    let config = arguments.check()?;
    let shutdown = Shutdown::on_signals().map_err(|error| internal(&error))?;
    let (issuer_listener, validator_listener) = listen(&config).await?;
    let in_memory = config.redis_url.is_none();
    let shared = shared(&config).await?;
    let ready = Ready {
        issuer: local_address(&issuer_listener)?,
        validator: local_address(&validator_listener)?,
        in_memory,
        caller_auth: config.caller_auth,
    };

    let issuer = prepare_issuer(&config, &shared, ready.validator, &shutdown).await?;
    let validator = prepare_validator(&config, &shared, validator_listener, &shutdown).await;
    let readiness = [issuer.readiness(), validator.readiness().clone()];
    if let Some((address, handle)) = observed.metrics_listen.zip(telemetry.metrics()) {
        let admin = AdminServer::bind(address, handle).await;
        let admin = admin.map_err(|error| CliError::usage(format!("--metrics-listen: {address}: {error}")))?;
        admin.spawn(readiness.to_vec(), &shutdown);
    }
    let issuer = until_the_end(issuer.serve(issuer_listener), &shutdown);
    let validator = until_the_end(validator.serve(), &shutdown);
    let (issuer, validator, announced) = tokio::join!(issuer, validator, announce(&ready, readiness, output));
    shutdown.finish().await;
    issuer.and(validator).and(announced)?;
    Ok(Exit::Fine)
}

async fn listen(config: &DevConfig) -> Result<(TcpListener, TcpListener), CliError> {
    let wanted = [
        ("--issuer-listen", config.issuer_listen),
        ("--validator-listen", config.validator_listen),
    ];
    let issuer = TcpListener::bind(config.issuer_listen).await;
    let validator = TcpListener::bind(config.validator_listen).await;
    match (issuer, validator) {
        (Ok(issuer), Ok(validator)) => Ok((issuer, validator)),
        (issuer, validator) => {
            let errors = [issuer.err(), validator.err()];
            let problems = wanted.iter().zip(errors).filter_map(|((name, address), error)| {
                error.map(|error| format!("{name}: cannot listen on {address}: {error}"))
            });
            Err(CliError::usage_with_hint(
                problems.collect::<Vec<_>>().join("\n"),
                "stop what listens there (another `tokenbind dev`?), or take any free ports with \
                 --issuer-listen 127.0.0.1:0 --validator-listen 127.0.0.1:0",
            ))
        }
    }
}

async fn shared(config: &DevConfig) -> Result<Shared, CliError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let store::Opened {
        store,
        tracking,
        attempts,
    } = store::open(config.redis_url.clone(), &config.namespace, &clock).await?;
    let seeded = samples::catalog(entropy.as_ref())?.seed(store.as_ref()).await;
    seeded.map_err(|error| internal(&error))?;
    Ok(Shared {
        store,
        tracking,
        attempts,
        clock,
        entropy,
    })
}

async fn prepare_issuer(
    config: &DevConfig,
    shared: &Shared,
    validator: SocketAddr,
    shutdown: &Shutdown,
) -> Result<PreparedIssuer, CliError> {
    let signing = Seeded::new("tokenbind development signing key");
    let opaque = Seeded::new("tokenbind development opaque key");
    let passwords = PasswordPool::for_this_machine(shared.entropy.as_ref()).map_err(|error| internal(&error))?;
    let declared = config
        .catalog
        .clone()
        .unwrap_or_default()
        .with_policies(samples::policies());
    let trust = Trust::new(declared.trust().clone(), Arc::clone(&shared.clock)).map_err(|error| internal(&error))?;
    let applications = Applications::new(Arc::clone(&shared.store), Some(Arc::clone(&shared.tracking)));
    let opaque_keys = Arc::new(OpaqueKeys::generate(&opaque));
    let (counters, clock) = (Arc::clone(&shared.attempts), Arc::clone(&shared.clock));
    let throttle = Throttle::new(counters, Arc::clone(&opaque_keys), clock, PeerAddresses::Tell);
    let issuer = Issuer {
        applications: Arc::new(applications),
        trust: Arc::new(trust.into()),
        store: Arc::clone(&shared.store),
        clock: Arc::clone(&shared.clock),
        entropy: Arc::clone(&shared.entropy),
        namespace: config.namespace.clone(),
        issuer_url: ISSUER_URL.into(),
        keys: Arc::new(KeyRing::generate(&signing).map_err(|error| internal(&error))?),
        opaque_keys,
        last_keys: Arc::default(),
        key_wait: Duration::ZERO,
        rotation: None,
        passwords: Arc::new(passwords),
        directory: Directory::default(),
        throttle: Arc::new(throttle),
    };
    let setup = IssuerSetup {
        issuer,
        // Nothing is published without a file: another one's entries on the same Redis would go.
        catalog: config.catalog.clone().map(Into::into),
        http: HttpSettings {
            introspection_endpoint: Some(format!("http://{validator}/oauth2/introspect")),
            ..HttpSettings::default()
        },
    };
    let prepared = issuer_run::prepare(setup, server(config.issuer_listen), shutdown).await;
    prepared.map_err(|error| internal(&error))
}

async fn prepare_validator(
    config: &DevConfig,
    shared: &Shared,
    listener: TcpListener,
    shutdown: &Shutdown,
) -> ValidatorServer {
    let setup = ValidatorSetup {
        facts: FactInputs {
            store: Arc::clone(&shared.store),
            tracking: Some(Arc::clone(&shared.tracking)),
            clock: Arc::clone(&shared.clock),
            limits: CacheLimits::default(),
        },
        namespace: config.namespace.clone(),
        unauthenticated_callers_as: (!config.caller_auth).then(|| samples::RESOURCE.to_owned()),
        identity: None,
    };
    ValidatorServer::new(listener, setup, server(config.validator_listen), shutdown.clone()).await
}

fn server(listen: SocketAddr) -> ServerConfig {
    ServerConfig {
        drain: Duration::ZERO,
        grace: GRACE,
        ..ServerConfig::new(listen)
    }
}

/// One service alone is no stack: when it ends, for whatever reason, the other one ends too.
async fn until_the_end<E: std::fmt::Display>(
    serving: impl Future<Output = Result<(), E>>,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    let outcome = serving.await;
    if !shutdown.is_draining() {
        shutdown.trigger();
    }
    outcome.map_err(|error| internal(&error))
}

async fn announce(ready: &Ready, readiness: [Readiness; 2], output: Output) -> Result<(), CliError> {
    for one in readiness {
        if !one.ready().await {
            return Ok(());
        }
    }
    output.print(&ready.line(), || ready.text())
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, CliError> {
    listener.local_addr().map_err(|error| internal(&error))
}

fn internal(error: &dyn std::fmt::Display) -> CliError {
    CliError::Internal(format!("the development stack does not run: {error}"))
}
