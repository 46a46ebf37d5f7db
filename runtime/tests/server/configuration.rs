//! Arguments, checked all at once.

use clap::{CommandFactory, Parser};
use std::{net::SocketAddr, time::Duration};
use tokenbind_runtime::config::{LogFormat, ServerArgs, ServerConfig, TelemetryArgs, TelemetryConfig, Violations};

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

fn default_listen() -> SocketAddr {
    ([127, 0, 0, 1], 7009).into()
}

fn check(arguments: &[&str]) -> Result<(ServerConfig, TelemetryConfig), Violations> {
    let args = Args::try_parse_from([&["test"], arguments].concat()).unwrap();
    let mut violations = Violations::new();
    let server = args.server.check(default_listen(), &mut violations);
    let telemetry = args.telemetry.check(&mut violations);
    violations.finish(server.zip(telemetry))
}

/// What is wrong with one setting.
fn violation(arguments: &[&str]) -> String {
    let violations = check(arguments).unwrap_err();
    assert_eq!(violations.len(), 1, "{violations}");
    violations.to_string()
}

#[test]
fn no_arguments_are_the_documented_defaults() {
    let (server, telemetry) = check(&[]).unwrap();
    let defaults = ServerConfig {
        // Without the argument it depends on the machine.
        workers: server.workers,
        ..ServerConfig::new(default_listen())
    };
    assert_eq!(format!("{server:?}"), format!("{defaults:?}"));
    assert!(server.workers >= 1);
    assert_eq!(
        format!("{telemetry:?}"),
        format!(
            "{:?}",
            TelemetryConfig {
                log_filter: telemetry.log_filter.clone(),
                ..TelemetryConfig::default()
            }
        )
    );
    assert!(
        telemetry
            .log_filter
            .would_enable("tokenbind_issuer", &tracing::Level::INFO)
    );
    assert!(
        !telemetry
            .log_filter
            .would_enable("tokenbind_issuer", &tracing::Level::DEBUG)
    );
}

#[test]
fn every_error_is_listed_at_once() {
    let violations = check(&[
        "--listen=localhost",
        "--max-message-bytes=1MB",
        "--max-metadata-bytes=0",
        "--max-streams=-1",
        "--max-connections=0",
        "--max-requests=0",
        "--request-timeout-ms=0",
        "--drain-seconds=soon",
        "--shutdown-grace-seconds=86400",
        "--tls-client-auth=perhaps",
        "--log-format=xml",
        "--log=loud",
        "--otlp-endpoint=collector:4317",
        "--metrics-listen=9000",
    ])
    .unwrap_err()
    .to_string();
    let named: Vec<_> = violations.lines().filter_map(|line| line.split(':').next()).collect();
    let expected = [
        "--listen",
        "--tls-client-auth",
        "--max-message-bytes",
        "--max-metadata-bytes",
        "--max-streams",
        "--max-connections",
        "--max-requests",
        "--request-timeout-ms",
        "--drain-seconds",
        "--shutdown-grace-seconds",
        "--log-format",
        "--log",
        "--otlp-endpoint",
        "--metrics-listen",
    ];
    assert_eq!(named, expected, "{violations}");
}

#[test]
fn a_violation_never_repeats_its_value() {
    let text = violation(&["--otlp-endpoint=https://user:swordfish@collector"]);
    assert!(!text.contains("swordfish"), "{text}");
}

#[test]
fn what_is_given_is_taken() {
    let (server, telemetry) = check(&[
        "--listen=[::1]:0",
        "--max-requests=7",
        "--request-timeout-ms=250",
        "--drain-seconds=0",
        "--log-format=json",
        "--otlp-endpoint=http://127.0.0.1:4317",
        "--metrics-listen=127.0.0.1:0",
    ])
    .unwrap();
    assert_eq!(server.listen, "[::1]:0".parse().unwrap());
    assert_eq!(
        (server.max_requests, server.request_timeout),
        (7, Duration::from_millis(250))
    );
    assert_eq!(server.drain, Duration::ZERO);
    assert_eq!(telemetry.log_format, LogFormat::Json);
    assert_eq!(telemetry.otlp_endpoint.as_deref(), Some("http://127.0.0.1:4317"));
    assert_eq!(telemetry.metrics_listen, Some(([127, 0, 0, 1], 0).into()));
}

#[test]
fn a_bare_level_is_for_tokenbind_alone() {
    use tracing::Level;
    let filter = |text: &str| check(&["--log", text]).unwrap().1.log_filter;

    let debug = filter("debug");
    assert!(debug.would_enable("tokenbind_issuer::grant", &Level::DEBUG));
    assert!(!debug.would_enable("h2::codec", &Level::DEBUG));
    assert!(debug.would_enable("h2::codec", &Level::INFO));

    let mixed = filter("warn, h2=trace");
    assert!(!mixed.would_enable("tokenbind_issuer", &Level::INFO));
    assert!(!mixed.would_enable("redis", &Level::INFO));
    assert!(mixed.would_enable("h2::codec", &Level::TRACE));

    assert!(!filter("off").would_enable("tokenbind_issuer", &Level::ERROR));
    for text in ["", "inof", "info,", "=debug,x", "h2=", "h2=loud"] {
        assert!(violation(&["--log", text]).starts_with("--log: "), "{text:?}");
    }
}

#[test]
fn tls_settings_depend_on_each_other() {
    let missing = "/nonexistent/file.pem";
    assert!(violation(&["--tls-cert", missing]).starts_with("--tls-key: is required"));
    assert!(violation(&["--tls-key", missing]).starts_with("--tls-cert: is required"));
    assert!(violation(&["--tls-client-auth=required"]).starts_with("--tls-cert: is required"));
    assert!(violation(&["--tls-client-ca", missing]).starts_with("--tls-cert: is required"));
    let pair = ["--tls-cert", missing, "--tls-key", missing];
    let with_auth = [&pair[..], &["--tls-client-auth=optional"]].concat();
    assert!(violation(&with_auth).starts_with("--tls-client-ca: is required"));
    let with_ca = [&pair[..], &["--tls-client-ca", missing]].concat();
    assert!(violation(&with_ca).starts_with("--tls-client-ca: has no effect"));

    let unreadable = check(&pair).unwrap_err().to_string();
    assert_eq!(unreadable.lines().count(), 2, "{unreadable}");
    assert!(unreadable.lines().all(|line| line.contains(missing)), "{unreadable}");
}

#[test]
fn help_tells_every_variable_unit_and_default() {
    let command = ServerArgs::with_default_listen(Args::command(), "127.0.0.1:7009");
    for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
        let name = argument.get_id().as_str();
        let variable = format!("TOKENBIND_{}", name.to_uppercase());
        assert_eq!(argument.get_env().unwrap().to_str(), Some(variable.as_str()));
        assert!(argument.get_value_names().is_some(), "{name} has no unit");
        let help = argument.get_help().unwrap().to_string();
        assert!(
            !argument.get_default_values().is_empty() || help.contains("[default:") || name.starts_with("tls_"),
            "{name} has no default: {help}"
        );
    }
}
