//! The command line of the `validator`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Parser;
use secrecy::SecretString;
use tokenbind_index::Namespace;
use tokenbind_index::redis::RedisOptions;
use tokenbind_runtime::config::{ServerArgs, ServerConfig, TelemetryArgs, TelemetryConfig, Violations};

use crate::caller::MAX_RESOURCE_ID_BYTES;

/// Where the validator listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7002);
/// The same, for the help.
pub const DEFAULT_LISTEN_TEXT: &str = "127.0.0.1:7002";

/// Judges access tokens for resources: are they live, and used by whom and under the binding they were issued to?
#[derive(Debug, Parser)]
#[command(name = "validator", version)]
pub struct Args {
    /// Redis or Valkey that holds the index, redis://[user[:password]@]host[:port][/database]
    #[arg(long, env = "TOKENBIND_REDIS_URL", value_name = "URL", hide_env_values = true)]
    #[arg(default_value = "redis://127.0.0.1:6379")]
    redis_url: SecretString,

    /// Namespace of the index, the same as the issuers': 1 to 32 of a-z, 0-9, - and _
    #[arg(long, env = "TOKENBIND_NAMESPACE", value_name = "NAME", default_value = "tokenbind")]
    namespace: String,

    /// DEVELOPMENT ONLY: callers without credentials are answered as if they were this resource, or any that they name
    #[arg(long, env = "TOKENBIND_UNAUTHENTICATED_CALLERS_AS", value_name = "RESOURCE_ID")]
    unauthenticated_callers_as: Option<String>,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    telemetry: TelemetryArgs,
}

/// What the command line says, checked.
#[derive(Debug)]
pub struct ValidatorConfig {
    /// Where the index is.
    pub redis: RedisOptions,
    /// See [`Callers::new`](crate::caller::Callers::new).
    pub unauthenticated_callers_as: Option<String>,
    /// How to serve.
    pub server: ServerConfig,
    /// What to tell about itself.
    pub telemetry: TelemetryConfig,
}

impl Args {
    /// Checks every argument.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check(self) -> Result<ValidatorConfig, Violations> {
        let mut violations = Violations::new();
        let server = self.server.check(DEFAULT_LISTEN, &mut violations);
        let telemetry = self.telemetry.check(&mut violations);
        let namespace = violations.record("--namespace", Namespace::parse(&self.namespace));
        let redis = namespace.map(|namespace| RedisOptions::new(self.redis_url, namespace));
        let resource = check_resource(self.unauthenticated_callers_as, &mut violations);
        let config = redis
            .zip(server)
            .zip(telemetry)
            .map(|((redis, server), telemetry)| ValidatorConfig {
                redis,
                unauthenticated_callers_as: resource,
                server,
                telemetry,
            });
        violations.finish(config)
    }
}

fn check_resource(id: Option<String>, violations: &mut Violations) -> Option<String> {
    let valid = |id: &str| {
        (1..=MAX_RESOURCE_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    if id.as_deref().is_some_and(|id| !valid(id)) {
        violations.push(
            "--unauthenticated-callers-as",
            format_args!("must be 1 to {MAX_RESOURCE_ID_BYTES} printable ASCII characters"),
        );
    }
    id
}
