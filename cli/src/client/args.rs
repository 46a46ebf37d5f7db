//! Where the services are and who calls them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;
use tokenbind_runtime::config::TelemetryArgs;

use super::Session;
use crate::words;

/// Where the services are and who calls them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ClientArgs {
    /// Where the issuer is
    #[arg(
        long,
        global = true,
        env = "TOKENBIND_ISSUER_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:7001"
    )]
    pub(crate) issuer_url: String,

    /// Where the validator is
    #[arg(
        long,
        global = true,
        env = "TOKENBIND_VALIDATOR_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:7002"
    )]
    pub(crate) validator_url: String,

    /// The application that calls the issuer; administration needs one that may have the scope tokenbind.admin
    #[arg(long, global = true, env = "TOKENBIND_CLIENT_ID", value_name = "CLIENT_ID")]
    pub(crate) client_id: Option<String>,

    /// Its secret; better in the variable or in a file, because others can see the arguments of a process
    #[arg(
        long,
        global = true,
        env = "TOKENBIND_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(crate) client_secret: Option<SecretString>,

    /// Reads its secret from a file, or with `-` from standard input
    #[arg(long, global = true, value_name = "FILE", env = "TOKENBIND_CLIENT_SECRET_FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,

    /// Seconds to wait for a connection, and then for each answer
    #[arg(long, global = true, env = "TOKENBIND_TIMEOUT", value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// PEM file with the certificates that a server's must descend from [default: those of the system]
    #[arg(long, global = true, env = "TOKENBIND_CA_CERT", value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// PEM file with the certificate to present to a server over TLS
    #[arg(long, global = true, env = "TOKENBIND_CLIENT_CERT", value_name = "FILE")]
    pub(crate) client_cert: Option<PathBuf>,

    /// PEM file with the private key of that certificate
    #[arg(long, global = true, env = "TOKENBIND_CLIENT_KEY", value_name = "FILE")]
    pub(crate) client_key: Option<PathBuf>,

    /// What to log on stderr: off, error, warn, info, debug, trace
    #[arg(
        long,
        global = true,
        env = "TOKENBIND_LOG",
        value_name = "FILTER",
        default_value = "warn"
    )]
    pub(crate) log: String,

    /// OpenTelemetry collector that receives traces by OTLP over gRPC, http://HOST:PORT [default: no traces]
    #[arg(long, global = true, env = "TOKENBIND_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
}

impl ClientArgs {
    /// What the command calls with.
    pub(crate) fn into_session(self) -> Session {
        Session::new(self)
    }

    /// How the command logs and traces.
    pub(crate) fn telemetry(&self) -> TelemetryArgs {
        TelemetryArgs {
            log_format: "human".to_owned(),
            log: self.log.clone(),
            otlp_endpoint: self.otlp_endpoint.clone(),
            metrics_listen: None,
            audit_all: false,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    words::seconds(text, 0.001..=600.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_sensible_number() {
        assert_eq!(seconds("0.25").unwrap(), Duration::from_millis(250));
        for wrong in ["0", "-1", "601", "NaN", "inf", "ten", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
