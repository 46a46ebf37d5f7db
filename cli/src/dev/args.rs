//! The arguments of the development stack.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;
use tokenbind_index::Namespace;
use tokenbind_issuer::catalog::Catalog;
use tokenbind_runtime::config::{TelemetryArgs, Violations};

use crate::error::CliError;

/// Where the services listen unless told otherwise, and what the samples are kept in.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Address of the issuer, IP:PORT; port 0 takes any free one. Its id stays `http://localhost:7001`: clients that discover it need
    /// that port
    #[arg(
        long,
        env = "TOKENBIND_ISSUER_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7001"
    )]
    issuer_listen: String,

    /// Address of the validator, IP:PORT; port 0 takes any free one
    #[arg(
        long,
        env = "TOKENBIND_VALIDATOR_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7002"
    )]
    validator_listen: String,

    /// Redis for the index, `redis://[user[:password]@]host[:port][/database]`; several stacks on one act as replicas
    /// [default: in memory]
    #[arg(long, env = "TOKENBIND_REDIS_URL", hide_env_values = true, value_name = "URL")]
    redis_url: Option<SecretString>,

    /// Prefix of every key in Redis: 1 to 32 of a-z, 0-9, - and _
    #[arg(long, env = "TOKENBIND_NAMESPACE", value_name = "NAME", default_value = "tokenbind")]
    namespace: String,

    /// YAML file that declares more: applications, users, resources, trusted issuers, exchange policies
    #[arg(long, env = "TOKENBIND_CATALOG", value_name = "FILE")]
    catalog: Option<PathBuf>,

    /// Callers of the validator must have credentials; otherwise those without count as the sample resource
    #[arg(long, env = "TOKENBIND_CALLER_AUTH")]
    caller_auth: bool,

    /// Allows addresses that other machines reach, although everybody knows the credentials and keys of this stack
    #[arg(long, env = "TOKENBIND_EXPOSE")]
    expose: bool,

    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// What the arguments say, checked.
#[derive(Debug)]
pub(crate) struct DevConfig {
    /// Where the issuer listens.
    pub(super) issuer_listen: SocketAddr,
    /// Where the validator listens.
    pub(super) validator_listen: SocketAddr,
    /// Redis, or in memory.
    pub(super) redis_url: Option<SecretString>,
    /// Prefixes every key.
    pub(super) namespace: Namespace,
    /// What is declared beside the samples.
    pub(super) catalog: Option<Catalog>,
    /// Whether callers of the validator must have credentials.
    pub(super) caller_auth: bool,
}

impl DevArgs {
    /// Checks every argument but those of telemetry, which are checked before.
    pub(super) fn check(self) -> Result<DevConfig, CliError> {
        let mut violations = Violations::new();
        let expose = self.expose;
        let issuer = address("--issuer-listen", &self.issuer_listen, expose, &mut violations);
        let validator = address("--validator-listen", &self.validator_listen, expose, &mut violations);
        let namespace = violations.record("--namespace", Namespace::parse(&self.namespace));
        let catalog = match self.catalog {
            Some(path) => violations.record("--catalog", Catalog::load(&path)).map(Some),
            None => Some(None),
        };
        let config = issuer.zip(validator).zip(namespace.zip(catalog)).map(
            |((issuer_listen, validator_listen), (namespace, catalog))| DevConfig {
                catalog,
                issuer_listen,
                validator_listen,
                redis_url: self.redis_url,
                namespace,
                caller_auth: self.caller_auth,
            },
        );
        violations
            .finish(config)
            .map_err(|violations| CliError::usage(violations.to_string()))
    }
}

fn address(name: &str, text: &str, expose: bool, violations: &mut Violations) -> Option<SocketAddr> {
    let address = violations.parse_address(name, text)?;
    if !expose && !address.ip().is_loopback() {
        violations.push(
            name,
            "must be a loopback address: everybody knows the credentials and keys of this stack; --expose allows it",
        );
        return None;
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        dev: DevArgs,
    }

    fn check(arguments: &[&str]) -> Result<DevConfig, CliError> {
        let line = [&["t"], arguments].concat();
        Line::parse_from(line).dev.check()
    }

    #[test]
    fn what_other_machines_reach_needs_expose() {
        let error = check(&["--issuer-listen", "0.0.0.0:0"]).unwrap_err().to_string();
        assert!(
            error.contains("--issuer-listen") && error.contains("--expose"),
            "{error}"
        );
        let exposed = check(&["--issuer-listen", "0.0.0.0:0", "--expose"]).unwrap();
        assert_eq!(exposed.issuer_listen.to_string(), "0.0.0.0:0");
        assert!(check(&["--validator-listen", "[::1]:0"]).is_ok());
    }

    #[test]
    fn every_violation_is_told_at_once() {
        let error = check(&[
            "--issuer-listen",
            "here",
            "--validator-listen",
            "there:x",
            "--namespace",
            "A",
        ]);
        let error = error.unwrap_err().to_string();
        for name in ["--issuer-listen", "--validator-listen", "--namespace"] {
            assert!(error.contains(name), "{error}");
        }
    }
}
