//! The settings of logs, traces and metrics.

use super::Violations;
use crate::audit;
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// Arguments of logs, traces and metrics.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// Form of the logs on stderr: human, json
    #[arg(long, env = "TOKENBIND_LOG_FORMAT", value_name = "FORMAT", default_value = "human")]
    pub log_format: String,

    /// What to log: a level (off, error, warn, info, debug, trace) for tokenbind, and target=level for a library
    #[arg(long, env = "TOKENBIND_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// Audit also every token that was issued (issuer) or judged good (validator), at a good part of a call's cost [default: off]
    #[arg(long, env = "TOKENBIND_AUDIT_ALL")]
    pub audit_all: bool,

    /// OpenTelemetry collector that receives traces by OTLP over gRPC, http://HOST:PORT [default: no traces]
    #[arg(long, env = "TOKENBIND_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Address for GET /metrics, /livez and /readyz over HTTP, IP:PORT; keep it private [default: off]
    #[arg(long, env = "TOKENBIND_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
}

/// The form of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object per line.
    Json,
}

/// What a process tells about itself, and where.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// The form of the logs.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_filter: Targets,
    /// Whether the audit trail has everything.
    pub audit_all: bool,
    /// The collector that receives traces.
    pub otlp_endpoint: Option<String>,
    /// Where metrics are served.
    pub metrics_listen: Option<SocketAddr>,
    /// Variables that look like settings and are none: the log begins with them.
    pub unknown_variables: Vec<String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Human,
            log_filter: Targets::new().with_default(LevelFilter::INFO),
            audit_all: false,
            otlp_endpoint: None,
            metrics_listen: None,
            unknown_variables: Vec::new(),
        }
    }
}

impl TelemetryArgs {
    /// Checks every argument. `None` means that violations were recorded.
    pub fn check(self, violations: &mut Violations) -> Option<TelemetryConfig> {
        let log_format = LogFormat::from_str(self.log_format.trim(), true)
            .map_err(|_| violations.push("--log-format", "must be human or json"))
            .ok();
        let log_filter = parse_filter(&self.log, self.audit_all, violations);
        let otlp_endpoint = optional(self.otlp_endpoint, |text| parse_endpoint(text, violations));
        let metrics_listen = optional(self.metrics_listen, |text| {
            violations.parse_address("--metrics-listen", &text)
        });
        Some(TelemetryConfig {
            log_format: log_format?,
            log_filter: log_filter?,
            audit_all: self.audit_all,
            otlp_endpoint: otlp_endpoint.ok()?,
            metrics_listen: metrics_listen.ok()?,
            unknown_variables: Vec::new(),
        })
    }
}

/// An absent value is fine, a value that does not parse is not.
fn optional<T>(text: Option<String>, parse: impl FnOnce(String) -> Option<T>) -> Result<Option<T>, ()> {
    text.map(|text| parse(text).ok_or(())).transpose()
}

/// Levels and `target=level` pairs, separated by commas.
///
/// A bare level more verbose than `info` means tokenbind's own modules: below that, HTTP libraries may log what they carry.
fn parse_filter(text: &str, audit_all: bool, violations: &mut Violations) -> Option<Targets> {
    const OWN: &str = "tokenbind";
    let mut filter = Targets::new().with_default(LevelFilter::INFO);
    if audit_all {
        filter = filter.with_target(audit::TARGET, LevelFilter::DEBUG);
    }
    for directive in text.split(',').map(str::trim) {
        let (target, level) = directive.split_once('=').unwrap_or(("", directive));
        // An empty level and a bare target would parse as something that nobody means.
        let Some(level) = level.parse::<LevelFilter>().ok().filter(|_| !level.is_empty()) else {
            violations.push(
                "--log",
                "must be a level (off, error, warn, info, debug, trace) or target=level, separated by commas",
            );
            return None;
        };
        filter = match target {
            "" => filter
                .with_default(level.min(LevelFilter::INFO))
                .with_target(OWN, level),
            target => filter.with_target(target, level),
        };
    }
    Some(filter)
}

fn parse_endpoint(text: String, violations: &mut Violations) -> Option<String> {
    let fits = text
        .parse::<http::Uri>()
        .is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()));
    if !fits {
        violations.push("--otlp-endpoint", "must be http://HOST:PORT");
    }
    fits.then_some(text)
}
