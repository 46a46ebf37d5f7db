//! The command line of the `validator`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser};
use tokenbind_index::redis::{RedisArgs, RedisOptions};
use tokenbind_index::{Namespace, SkewLimits};
use tokenbind_runtime::config::{ClockArgs, ServerArgs, ServerConfig, TelemetryArgs, TelemetryConfig, Violations};

use crate::caller::MAX_RESOURCE_ID_BYTES;
use crate::facts::CacheLimits;
use crate::transport::http::{Identity, IntrospectionSigner};
use crate::watch::OpenLimits;

/// Where the validator listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7002);
/// The same, for the help.
pub const DEFAULT_LISTEN_TEXT: &str = "127.0.0.1:7002";

/// As many calls as may be told to stay open: each takes memory for as long as its caller wants.
const MAX_OPEN_CALLS: usize = 1_000_000;

/// Judges access tokens for resources: are they live, and used by whom and under the binding they were issued to?
#[derive(Debug, Parser)]
#[command(name = "validator", version)]
pub struct ValidatorArgs {
    #[command(flatten)]
    validating: ValidatingArgs,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Validator")]
struct ValidatingArgs {
    /// Prefix of every key in Redis, the same as the issuers': 1 to 32 of a-z, 0-9, - and _
    #[arg(long, env = "TOKENBIND_NAMESPACE", value_name = "NAME", default_value = "tokenbind")]
    namespace: String,

    /// How long what is known of a token may be used after the index was last heard, in milliseconds; it is asked four
    /// times within that
    #[arg(
        long,
        env = "TOKENBIND_LEASE_MS",
        value_name = "MILLISECONDS",
        default_value = "2000"
    )]
    lease_ms: String,

    /// Most tokens of which facts are kept
    #[arg(
        long,
        env = "TOKENBIND_CACHE_ENTRIES",
        value_name = "COUNT",
        default_value = "1000000"
    )]
    cache_entries: String,

    /// Most memory for them, in bytes
    #[arg(
        long,
        env = "TOKENBIND_CACHE_BYTES",
        value_name = "BYTES",
        default_value = "536870912"
    )]
    cache_bytes: String,

    /// Streams of questions (`StreamValidate`) open at once, over all connections; further ones are answered
    /// `RESOURCE_EXHAUSTED`
    #[arg(
        long,
        env = "TOKENBIND_MAX_VALIDATION_STREAMS",
        value_name = "COUNT",
        default_value = "1000"
    )]
    max_validation_streams: String,

    /// Watched tokens (`WatchToken`) at once, over all connections; further ones are answered `RESOURCE_EXHAUSTED`
    #[arg(long, env = "TOKENBIND_MAX_WATCHES", value_name = "COUNT", default_value = "10000")]
    max_watches: String,

    /// Where callers reach this validator over HTTP: `https://validator.example`. Serves metadata (RFC 8414) of that `issuer`, and
    /// is the `iss` of signed introspection [default: no metadata]
    #[arg(long, env = "TOKENBIND_INTROSPECTION_ISSUER", value_name = "URL")]
    introspection_issuer: Option<String>,

    /// Private key that signs introspection for callers who ask for that (RFC 9701), PEM (Ed25519, P-256, RSA from 2,048 bits); not
    /// one that signs tokens [default: not signed]
    #[arg(long, env = "TOKENBIND_INTROSPECTION_SIGNING_KEY", value_name = "FILE")]
    introspection_signing_key: Option<PathBuf>,

    /// DEVELOPMENT ONLY: callers without credentials are answered as if they were this resource, or any that they name
    #[arg(long, env = "TOKENBIND_UNAUTHENTICATED_CALLERS_AS", value_name = "RESOURCE_ID")]
    unauthenticated_callers_as: Option<String>,
}

/// What the command line says, checked.
#[derive(Debug)]
pub struct ValidatorConfig {
    /// Where the index is.
    pub redis: RedisOptions,
    /// How long what is kept may be used after the index was last heard.
    pub lease: Duration,
    /// How much is kept.
    pub cache: CacheLimits,
    /// How many calls may stay open.
    pub open: OpenLimits,
    /// See [`Callers::new`](crate::caller::Callers::new).
    pub unauthenticated_callers_as: Option<String>,
    /// As whom it introspects over HTTP.
    pub identity: Option<Identity>,
    /// How far its clock may be off the index's.
    pub skew: SkewLimits,
    /// How to serve.
    pub server: ServerConfig,
    /// What to tell about itself.
    pub telemetry: TelemetryConfig,
}

impl ValidatorArgs {
    /// Checks every argument.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check(self) -> Result<ValidatorConfig, Violations> {
        let mut violations = Violations::new();
        let validating = self.validating;
        let namespace = violations.record("--namespace", Namespace::parse(&validating.namespace));
        let redis = self
            .redis
            .options(namespace, |name, problem| violations.push(name, problem));
        let lease = violations.parse_in("--lease-ms", &validating.lease_ms, 100..=60_000);
        let entries = violations.parse_in("--cache-entries", &validating.cache_entries, 1..=100_000_000);
        let bytes = violations.parse_in("--cache-bytes", &validating.cache_bytes, 1 << 20..=1 << 40);
        let cache = entries
            .zip(bytes)
            .map(|(entries, bytes)| CacheLimits { entries, bytes });
        let streams = violations.parse_in(
            "--max-validation-streams",
            &validating.max_validation_streams,
            1..=MAX_OPEN_CALLS,
        );
        let watches = violations.parse_in("--max-watches", &validating.max_watches, 1..=MAX_OPEN_CALLS);
        let open = watches
            .zip(streams)
            .map(|(watches, streams)| OpenLimits { watches, streams });
        let resource = check_resource(validating.unauthenticated_callers_as, &mut violations);
        let identity = check_identity(
            validating.introspection_issuer,
            validating.introspection_signing_key.as_deref(),
            &mut violations,
        );
        let clock = self.clock.check(&mut violations);
        let skew = clock.map(|clock| SkewLimits {
            warn: clock.warn,
            refuse: clock.max,
        });
        let server = self.server.check(DEFAULT_LISTEN, &mut violations);
        let telemetry = self.telemetry.check(&mut violations);
        let config = redis
            .zip(server)
            .zip(telemetry)
            .zip(lease.zip(cache).zip(open.zip(skew)));
        let config = config.map(
            |(((redis, server), telemetry), ((lease, cache), (open, skew)))| ValidatorConfig {
                redis,
                lease: Duration::from_millis(lease),
                cache,
                open,
                unauthenticated_callers_as: resource,
                identity,
                skew,
                server,
                telemetry,
            },
        );
        violations.finish(config)
    }
}

fn check_identity(issuer: Option<String>, key: Option<&Path>, violations: &mut Violations) -> Option<Identity> {
    let signer = key.and_then(|path| violations.record("--introspection-signing-key", IntrospectionSigner::load(path)));
    let Some(issuer) = issuer else {
        if key.is_some() {
            violations.push("--introspection-issuer", "is required with --introspection-signing-key");
        }
        return None;
    };
    Some(Identity {
        issuer: violations.plain_url("--introspection-issuer", issuer)?,
        signer: signer.map(Arc::new),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    const REDIS: &str = "--redis-url=redis://127.0.0.1";

    fn check(args: &[&str]) -> Result<ValidatorConfig, Violations> {
        let args = ["validator"].iter().chain(args);
        ValidatorArgs::try_parse_from(args).unwrap().check()
    }

    #[test]
    fn every_wrong_argument_is_told_at_once() {
        let violations = check(&[
            "--namespace=a{b",
            "--unauthenticated-callers-as=",
            "--listen=nowhere",
            "--max-requests=0",
            "--max-validation-streams=0",
            "--max-watches=1000001",
            "--log-format=xml",
        ]);
        let told = violations.unwrap_err().to_string();
        let names: Vec<_> = told.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let expected = [
            "--listen",
            "--log-format",
            "--max-requests",
            "--max-validation-streams",
            "--max-watches",
            "--namespace",
            "--redis-url",
            "--unauthenticated-callers-as",
        ];
        assert_eq!(sorted, expected, "{told}");
    }

    #[test]
    fn the_defaults_are_good() {
        let config = check(&[REDIS]).unwrap();
        assert_eq!(config.server.listen, DEFAULT_LISTEN);
        assert_eq!(DEFAULT_LISTEN.to_string(), DEFAULT_LISTEN_TEXT);
        assert_eq!(config.unauthenticated_callers_as, None);
        assert_eq!(config.cache, CacheLimits::default());
        assert_eq!(config.open, OpenLimits::default());
    }

    #[test]
    fn the_calls_that_stay_open_are_limited_as_told() {
        let config = check(&[REDIS, "--max-validation-streams=7", "--max-watches=9"]).unwrap();
        let expected = OpenLimits { watches: 9, streams: 7 };
        assert_eq!(config.open, expected);
    }

    #[test]
    fn a_resource_id_is_printable_ascii() {
        let resource = |id: &str| check(&[REDIS, &format!("--unauthenticated-callers-as={id}")]);
        assert_eq!(
            resource("orders api").unwrap().unauthenticated_callers_as.as_deref(),
            Some("orders api")
        );
        for id in ["a\nb", "\u{e9}", &"x".repeat(256)] {
            assert!(resource(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn signed_introspection_needs_a_key_and_an_identity() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            format!("--introspection-signing-key={}", path.display())
        };
        let none = file("none.pem", "canary");
        let good = file("good.pem", &rcgen::KeyPair::generate().unwrap().serialize_pem());
        let issuer = "--introspection-issuer=https://validator.example/path";
        let identity = check(&[REDIS, issuer, &good]).unwrap().identity.unwrap();
        assert!(identity.signer.is_some());
        assert_eq!(
            check(&[REDIS, issuer]).unwrap().identity.unwrap().issuer,
            "https://validator.example/path"
        );
        for (wrong, name) in [
            (vec![good.as_str()], "--introspection-issuer"),
            (vec![issuer, &none], "--introspection-signing-key"),
            (vec!["--introspection-issuer=validator"], "--introspection-issuer"),
        ] {
            let told = check(&[&[REDIS], wrong.as_slice()].concat()).unwrap_err().to_string();
            assert!(told.starts_with(name) && !told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn the_password_of_redis_is_not_shown() {
        let config = check(&["--redis-url=redis://:hunter2@127.0.0.1"]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
