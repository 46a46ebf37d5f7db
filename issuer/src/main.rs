//! The issuer as a process of its own, over Redis. Only wires.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, FromArgMatches as _};
use tokenbind_index::redis::{RedisIndex, RedisTracking};
use tokenbind_index::{Clock, Entropy, Store, SystemClock, SystemEntropy, WatchedClock};
use tokenbind_issuer::Issuer;
use tokenbind_issuer::applications::{Applications, LEASE};
use tokenbind_issuer::args::{IssuerArgs, IssuerConfig};
use tokenbind_issuer::audit::AuditWriter;
use tokenbind_issuer::password::PasswordPool;
use tokenbind_issuer::run::{self, IssuerSetup};
use tokenbind_issuer::throttle::Throttle;
use tokenbind_issuer::trust::Trust;
use tokenbind_runtime::admin::AdminServer;
use tokenbind_runtime::audit::{self, Fields};
use tokenbind_runtime::config::{ServerArgs, unknown_variables};
use tokenbind_runtime::shutdown::Shutdown;
use tokenbind_runtime::telemetry::{self, Telemetry};
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The exit code of a wrong configuration, as of a wrong flag.
const USAGE: u8 = 2;

/// The fastest measured (docs/benchmarks).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// Calls are answered on threads of their own; this one accepts and watches.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = ServerArgs::with_default_listen(IssuerArgs::command(), "127.0.0.1:7001");
    let unknown = unknown_variables(&command, std::env::vars_os());
    let args = IssuerArgs::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let mut config = match args.check(entropy.as_ref()) {
        Ok(config) => config,
        Err(violations) => return fail(USAGE, &format!("the configuration is wrong:\n{violations}")),
    };
    config.telemetry.unknown_variables = unknown;
    let (tap, events) = config
        .audit_stream_entries
        .map(|_| audit::tap(config.telemetry.audit_all))
        .unzip();
    let telemetry = match telemetry::init_with("tokenbind-issuer", &config.telemetry, tap) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(1, &error.to_string()),
    };
    let outcome = start(config, entropy, events, &telemetry).await;
    if let Err(error) = &outcome {
        tracing::error!(error, "the issuer stopped");
    }
    telemetry.shutdown().await;
    if outcome.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn start(
    config: IssuerConfig,
    entropy: Arc<dyn Entropy>,
    events: Option<Receiver<Fields>>,
    telemetry: &Telemetry,
) -> Result<(), BoxError> {
    let shutdown = Shutdown::on_signals()?;
    let metrics = config.telemetry.metrics_listen.zip(telemetry.metrics());
    let cannot_listen = |address, error| format!("cannot listen on {address}: {error}");
    let listen = config.server.listen;
    let listener = TcpListener::bind(listen).await;
    let listener = listener.map_err(|error| cannot_listen(listen, error))?;
    let admin = match metrics {
        Some((address, handle)) => {
            let admin = AdminServer::bind(address, handle).await;
            Some(admin.map_err(|error| cannot_listen(address, error))?)
        }
        None => None,
    };
    if config.generated_keys {
        tracing::warn!("keys were generated: no other issuer and no later run has them. For development only");
    }
    let store = RedisIndex::connect_lazily(&config.redis).await?;
    let writer = config.audit_stream_entries.zip(events);
    let writer = writer.map(|(entries, events)| AuditWriter::start(store.clone(), entries.get(), events));
    let clock: Arc<dyn Clock> = Arc::new(WatchedClock::new(Arc::new(SystemClock), config.skew));
    let counters = Arc::new(store.clone());
    let opaque_keys = Arc::new(config.opaque_keys);
    let throttle = Throttle::new(counters, Arc::clone(&opaque_keys), Arc::clone(&clock), config.peers);
    let declared = config.catalog.as_ref().map(|source| source.catalog().trust().clone());
    let trust = Trust::new(declared.unwrap_or_default(), Arc::clone(&clock))?;
    let store: Arc<dyn Store> = Arc::new(store);
    let tracking = RedisTracking::start(&config.redis, Arc::clone(&clock), LEASE)?;
    let issuer = Issuer {
        applications: Arc::new(Applications::new(Arc::clone(&store), Some(Arc::new(tracking)))),
        store,
        directory: config.directory.open(Arc::clone(&clock))?,
        throttle: Arc::new(throttle),
        trust: Arc::new(trust.into()),
        clock,
        passwords: Arc::new(PasswordPool::for_this_machine(entropy.as_ref())?),
        entropy,
        namespace: config.redis.namespace,
        issuer_url: config.issuer_url.into(),
        keys: Arc::new(config.keys),
        opaque_keys,
        last_keys: Arc::default(),
        key_wait: config.key_wait,
        rotation: config.rotation,
    };
    let setup = IssuerSetup {
        issuer,
        catalog: config.catalog,
        http: config.http,
    };
    let prepared = run::prepare(setup, config.server, &shutdown).await?;
    if let Some(admin) = admin {
        admin.spawn(vec![prepared.readiness()], &shutdown);
    }
    tracing::info!(address = %listener.local_addr()?, "listening");
    let outcome = prepared.serve(listener).await;
    shutdown.finish().await;
    if let Some(writer) = writer {
        writer.finish().await;
    }
    Ok(outcome?)
}

/// Before there are logs, stderr is all there is.
#[expect(clippy::print_stderr, reason = "telemetry is not set up yet")]
fn fail(code: u8, problem: &str) -> ExitCode {
    eprintln!("issuer: {problem}");
    ExitCode::from(code)
}
