//! The settings of a gRPC server.

use super::Violations;
use crate::{
    tls::{self, ClientAuth, ServerTls},
    workers,
};
use clap::{Args, ValueEnum};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// A caller's `grpc-timeout` can be longer than any sensible bound; this is the most a server may be told to allow.
const MAX_REQUEST_TIMEOUT_MS: u64 = 600_000;
const MAX_WAIT_SECONDS: u64 = 3600;
const MAX_AGE_SECONDS: u64 = 86_400;
const MAX_WORKERS: usize = 1024;

/// Arguments of a process that serves gRPC.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Address to serve gRPC and HTTP on, IP:PORT; port 0 takes any free one
    #[arg(long, env = "TOKENBIND_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,

    /// Threads that answer calls, each with its own connections [default: as many as processors may be used]
    #[arg(long, env = "TOKENBIND_WORKERS", value_name = "COUNT")]
    pub workers: Option<String>,

    /// Largest message accepted, in bytes
    #[arg(
        long,
        env = "TOKENBIND_MAX_MESSAGE_BYTES",
        value_name = "BYTES",
        default_value = "1048576"
    )]
    pub max_message_bytes: String,

    /// Most metadata accepted with a call, in bytes; each entry counts 32 more than its name and value
    #[arg(
        long,
        env = "TOKENBIND_MAX_METADATA_BYTES",
        value_name = "BYTES",
        default_value = "16384"
    )]
    pub max_metadata_bytes: String,

    /// Calls open at once on one connection; further ones wait at the client
    #[arg(long, env = "TOKENBIND_MAX_STREAMS", value_name = "COUNT", default_value = "256")]
    pub max_streams: String,

    /// Connections open at once; further ones are closed
    #[arg(
        long,
        env = "TOKENBIND_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value = "4096"
    )]
    pub max_connections: String,

    /// Seconds after which an HTTP/2 client is told to connect anew, a tenth more or less, so that it finds servers that were added, and
    /// authorities that were taken away; its calls end as they would [default: never]
    #[arg(long, env = "TOKENBIND_MAX_CONNECTION_AGE_SECONDS", value_name = "SECONDS")]
    pub max_connection_age_seconds: Option<String>,

    /// Calls being handled at once; further ones are answered `RESOURCE_EXHAUSTED` without waiting
    #[arg(long, env = "TOKENBIND_MAX_REQUESTS", value_name = "COUNT", default_value = "1024")]
    pub max_requests: String,

    /// Longest time until a call is answered, in milliseconds; a caller's own shorter deadline wins
    #[arg(
        long,
        env = "TOKENBIND_REQUEST_TIMEOUT_MS",
        value_name = "MILLISECONDS",
        default_value = "10000"
    )]
    pub request_timeout_ms: String,

    /// Seconds to go on serving after a signal to stop, reporting `NOT_SERVING`, while load balancers look elsewhere
    #[arg(long, env = "TOKENBIND_DRAIN_SECONDS", value_name = "SECONDS", default_value = "5")]
    pub drain_seconds: String,

    /// Seconds after draining for calls in flight to finish, before they are cut
    #[arg(
        long,
        env = "TOKENBIND_SHUTDOWN_GRACE_SECONDS",
        value_name = "SECONDS",
        default_value = "20"
    )]
    pub shutdown_grace_seconds: String,

    /// PEM file with the server's certificate chain; serves TLS [default: plain text]
    #[arg(long, env = "TOKENBIND_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the private key of the certificate
    #[arg(long, env = "TOKENBIND_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// PEM file with the certificates that client certificates must descend from
    #[arg(long, env = "TOKENBIND_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether clients present a certificate: none, optional, required
    #[arg(long, env = "TOKENBIND_TLS_CLIENT_AUTH", value_name = "MODE", default_value = "none")]
    pub tls_client_auth: String,
}

/// How a gRPC server listens, what it accepts and how it stops.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Threads that answer calls, each with a runtime and connections of its own; 0 to answer them on the runtime that
    /// serves.
    pub workers: usize,
    /// Largest message accepted, in bytes. tonic has this limit per service: hand it to each generated server's
    /// `max_decoding_message_size`.
    pub max_message_bytes: usize,
    /// Most metadata accepted with a call, in bytes, counted as HTTP/2 does (32 for each entry on top).
    pub max_metadata_bytes: u32,
    /// Calls open at once on one connection.
    pub max_streams: u32,
    /// Connections open at once.
    pub max_connections: usize,
    /// After what an HTTP/2 client is told to connect anew, a tenth more or less.
    pub max_connection_age: Option<Duration>,
    /// Calls being handled at once.
    pub max_requests: usize,
    /// Longest time until a call is answered or its stream begins.
    pub request_timeout: Duration,
    /// How long to go on serving while reporting `NOT_SERVING`.
    pub drain: Duration,
    /// How long calls in flight have to finish after that.
    pub grace: Duration,
    /// TLS, or plain text.
    pub tls: Option<ServerTls>,
}

impl ServerConfig {
    /// The defaults of [`ServerArgs`], without threads of its own.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            workers: 0,
            max_message_bytes: 1 << 20,
            max_metadata_bytes: 16 << 10,
            max_streams: 256,
            max_connections: 4096,
            max_connection_age: None,
            max_requests: 1024,
            request_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            grace: Duration::from_secs(20),
            tls: None,
        }
    }
}

impl ServerArgs {
    /// Lets `--help` tell the default of `--listen`, which each service chooses.
    #[must_use]
    pub fn with_default_listen(command: clap::Command, address: &'static str) -> clap::Command {
        command.mut_arg("listen", |arg| arg.default_value(address))
    }

    /// Checks every argument. `None` means that violations were recorded.
    pub fn check(self, default_listen: SocketAddr, violations: &mut Violations) -> Option<ServerConfig> {
        let listen = match &self.listen {
            Some(text) => violations.parse_address("--listen", text),
            None => Some(default_listen),
        };
        let workers = match &self.workers {
            Some(text) => violations.parse_in("--workers", text, 1..=MAX_WORKERS),
            None => Some(workers::default_count()),
        };
        let tls = self.check_tls(violations);
        let max_message_bytes = violations.parse_in("--max-message-bytes", &self.max_message_bytes, 1024..=64 << 20);
        let max_metadata_bytes = violations.parse_in("--max-metadata-bytes", &self.max_metadata_bytes, 1024..=1 << 20);
        let max_streams = violations.parse_in("--max-streams", &self.max_streams, 1..=65_536);
        let max_connections = violations.parse_in("--max-connections", &self.max_connections, 1..=1_000_000);
        let max_connection_age = match &self.max_connection_age_seconds {
            Some(text) => violations
                .parse_in("--max-connection-age-seconds", text, 1..=MAX_AGE_SECONDS)
                .map(|age| Some(Duration::from_secs(age))),
            None => Some(None),
        };
        let max_requests = violations.parse_in("--max-requests", &self.max_requests, 1..=1_000_000);
        let timeout = violations.parse_in(
            "--request-timeout-ms",
            &self.request_timeout_ms,
            1..=MAX_REQUEST_TIMEOUT_MS,
        );
        let drain = violations.parse_in("--drain-seconds", &self.drain_seconds, 0..=MAX_WAIT_SECONDS);
        let grace = violations.parse_in(
            "--shutdown-grace-seconds",
            &self.shutdown_grace_seconds,
            0..=MAX_WAIT_SECONDS,
        );
        Some(ServerConfig {
            listen: listen?,
            workers: workers?,
            max_message_bytes: max_message_bytes?,
            max_metadata_bytes: max_metadata_bytes?,
            max_streams: max_streams?,
            max_connections: max_connections?,
            max_connection_age: max_connection_age?,
            max_requests: max_requests?,
            request_timeout: Duration::from_millis(timeout?),
            drain: Duration::from_secs(drain?),
            grace: Duration::from_secs(grace?),
            tls: tls?,
        })
    }

    /// The outer `None` means violations, the inner one plain text.
    #[expect(clippy::option_option, reason = "the two mean different things, and only here")]
    fn check_tls(&self, violations: &mut Violations) -> Option<Option<ServerTls>> {
        let client_auth = ClientAuth::from_str(self.tls_client_auth.trim(), true)
            .map_err(|_| violations.push("--tls-client-auth", "must be none, optional or required"))
            .ok();
        let (cert, key) = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) => return self.check_plain_text(client_auth?, violations).then_some(None),
            (Some(_), None) => return missing(violations, "--tls-key", "--tls-cert"),
            (None, Some(_)) => return missing(violations, "--tls-cert", "--tls-key"),
        };
        let client_ca = match (client_auth?, &self.tls_client_ca) {
            (ClientAuth::None, None) => None,
            (ClientAuth::None, Some(_)) => {
                violations.push(
                    "--tls-client-ca",
                    "has no effect unless --tls-client-auth is optional or required",
                );
                return None;
            }
            (_, None) => return missing(violations, "--tls-client-ca", "--tls-client-auth"),
            (mode, Some(path)) => Some((mode, path.as_path())),
        };
        tls::load(cert, key, client_ca, violations).map(Some)
    }

    fn check_plain_text(&self, client_auth: ClientAuth, violations: &mut Violations) -> bool {
        let plain = client_auth == ClientAuth::None && self.tls_client_ca.is_none();
        if !plain {
            violations.push("--tls-cert", "is required for client certificates");
        }
        plain
    }
}

fn missing<T>(violations: &mut Violations, name: &str, by: &str) -> Option<T> {
    violations.push(name, format_args!("is required with {by}"));
    None
}
