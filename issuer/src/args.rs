//! Flags and environment variables of the binary, checked all at once.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser};
use http::HeaderValue;
use tokenbind_index::redis::{Acknowledgement, RedisArgs, RedisOptions};
use tokenbind_index::{Entropy, Namespace, SkewLimits, SystemClock};
use tokenbind_runtime::config::{ClockArgs, ServerArgs, ServerConfig, TelemetryArgs, TelemetryConfig, Violations};
use tokenbind_runtime::tls::ServerTls;

use crate::catalog::CatalogSource;
use crate::directory::{DirectoryArgs, DirectoryConfig};
use crate::keys::RotationTimer;
use crate::opaque::OpaqueKeys;
use crate::signing::KeyRing;
use crate::throttle::PeerAddresses;
use crate::transport::http::HttpSettings;

/// Where the issuer listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7001);

const MAX_REPLICAS: u32 = 16;
const MAX_WAIT_MS: u64 = 10_000;
const MAX_AUDIT_ENTRIES: u64 = 100_000_000;
const MAX_KEY_WAIT_SECONDS: u64 = 86_400;
const MAX_ROTATION_HOURS: u64 = 87_600;

/// Issues OAuth 2.0 access tokens that are bound to an application and a device, and revokes them
#[derive(Debug, Parser)]
#[command(name = "issuer", version)]
pub struct IssuerArgs {
    #[command(flatten)]
    issuing: IssuingArgs,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Issuer")]
struct IssuingArgs {
    /// Prefix of every key in Redis, so that several installations can share one: 1 to 32 of a-z, 0-9, - and _
    #[arg(long, env = "TOKENBIND_NAMESPACE", value_name = "NAME", default_value = "tokenbind")]
    namespace: String,

    /// Replicas of Redis that must have a revocation before it is answered as done, at most 16; 0: the primary's word is enough,
    /// and a failover can bring back what was revoked
    #[arg(
        long,
        env = "TOKENBIND_REDIS_MIN_REPLICAS",
        value_name = "COUNT",
        default_value_t = 0
    )]
    redis_min_replicas: u32,

    /// Milliseconds that a revocation waits for them, 1 to 10,000; with fewer it is answered as UNAVAILABLE, though it may be
    /// done
    #[arg(long, env = "TOKENBIND_REDIS_WAIT_MS", value_name = "MS", default_value_t = 1_000)]
    redis_wait_ms: u64,

    /// The claim `iss` of every token: a URL without query or fragment, the same on every issuer
    #[arg(
        long,
        env = "TOKENBIND_ISSUER",
        value_name = "URL",
        default_value = "http://localhost:7001"
    )]
    issuer: String,

    /// Where callers of validators introspect tokens over HTTP, for the metadata of this issuer:
    /// `https://validator.example/oauth2/introspect` [default: not told]
    #[arg(long, env = "TOKENBIND_INTROSPECTION_ENDPOINT", value_name = "URL")]
    introspection_endpoint: Option<String>,

    /// Origins whose pages may call over HTTP from a browser, such as `https://app.example`, separated by commas [default: none]
    #[arg(long, env = "TOKENBIND_CORS_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<String>,

    /// YAML file that declares applications, users and resources, the same on every issuer; read again when it changes
    /// [default: only those made by admin RPC]
    #[arg(long, env = "TOKENBIND_CATALOG", value_name = "FILE")]
    catalog: Option<PathBuf>,

    /// Private key that signs JWTs, PEM or JWK (Ed25519, P-256, RSA from 2,048 bits), or a directory of them: the
    /// last by name signs. Files that change are read again
    #[arg(long, env = "TOKENBIND_SIGNING_KEY", value_name = "FILE|DIR")]
    signing_key: Option<PathBuf>,

    /// Key that opaque tokens are derived with, at least 32 bytes raw or as base64url, or a directory of them: the last by
    /// name is for new tokens, the others for those that live. Files that change are read again
    #[arg(long, env = "TOKENBIND_OPAQUE_KEY", value_name = "FILE|DIR")]
    opaque_key: Option<PathBuf>,

    /// Seconds for which a new key of either kind is known before it is used, at most 86,400: longer than key files take to reach every
    /// issuer, and than others keep the JWK Set
    #[arg(
        long,
        env = "TOKENBIND_KEY_WAIT_SECONDS",
        value_name = "SECONDS",
        default_value_t = 300
    )]
    key_wait_seconds: u64,

    /// Hours after which the issuer makes the next signing key (Ed25519) in the directory `--signing-key`, which it must be able to
    /// write, at most 87,600; 0: never. It also makes the first, and removes those it made when they have no more use
    #[arg(
        long,
        env = "TOKENBIND_SIGNING_KEY_ROTATION_HOURS",
        value_name = "HOURS",
        default_value_t = 0
    )]
    signing_key_rotation_hours: u64,

    /// Entries that the Redis stream `<namespace>:audit` keeps of the audit trail, the newest, about so many, at most 100,000,000; 0: the
    /// trail is in the log alone
    #[arg(
        long,
        env = "TOKENBIND_AUDIT_STREAM_ENTRIES",
        value_name = "COUNT",
        default_value_t = 0
    )]
    audit_stream_entries: u64,

    /// Development only: generate the keys that are not given. No other issuer and no later run has them
    #[arg(long, env = "TOKENBIND_GENERATE_KEYS")]
    generate_keys: bool,

    /// Callers come through proxies: their addresses say nothing about who guesses at secrets and passwords
    #[arg(long, env = "TOKENBIND_IGNORE_PEER_ADDRESSES")]
    ignore_peer_addresses: bool,
}

/// A checked configuration.
#[derive(Debug)]
pub struct IssuerConfig {
    /// Where the index is.
    pub redis: RedisOptions,
    /// The claim `iss`.
    pub issuer_url: String,
    /// What is told over HTTP.
    pub http: HttpSettings,
    /// What is declared in a file.
    pub catalog: Option<CatalogSource>,
    /// Signs JWTs.
    pub keys: KeyRing,
    /// Derive opaque tokens.
    pub opaque_keys: OpaqueKeys,
    /// How long a new key is known before it is used.
    pub key_wait: Duration,
    /// Makes signing keys.
    pub rotation: Option<RotationTimer>,
    /// How many entries the stream of the audit trail keeps, if there is to be one.
    pub audit_stream_entries: Option<NonZeroU64>,
    /// Some of the keys were generated.
    pub generated_keys: bool,
    /// Where users are.
    pub directory: DirectoryConfig,
    /// Whether the throttle tells callers apart by their addresses.
    pub peers: PeerAddresses,
    /// How far its clock may be off the index's.
    pub skew: SkewLimits,
    /// The server.
    pub server: ServerConfig,
    /// Logs, traces and metrics.
    pub telemetry: TelemetryConfig,
}

impl IssuerArgs {
    /// Checks every argument, and reads the files that they name.
    ///
    /// # Errors
    /// All violations at once.
    pub fn check(self, entropy: &dyn Entropy) -> Result<IssuerConfig, Violations> {
        let mut violations = Violations::new();
        let issuing = self.issuing;
        let acknowledgement = acknowledgement(issuing.redis_min_replicas, issuing.redis_wait_ms, &mut violations);
        let namespace = violations.record("--namespace", Namespace::parse(&issuing.namespace));
        let redis = self
            .redis
            .options(namespace, |name, problem| violations.push(name, problem));
        let issuer_url = violations.plain_url("--issuer", issuing.issuer);
        let introspection_endpoint = issuing
            .introspection_endpoint
            .and_then(|url| violations.plain_url("--introspection-endpoint", url));
        let cors_origins = cors_origins(&issuing.cors_origins, &mut violations);
        let catalog = issuing.catalog.map(|path| load_catalog(&path, &mut violations));
        let generated_keys = issuing.generate_keys && (issuing.signing_key.is_none() || issuing.opaque_key.is_none());
        let key_wait = key_wait(issuing.key_wait_seconds, &mut violations);
        let rotation = rotation(
            issuing.signing_key_rotation_hours,
            issuing.signing_key.as_ref(),
            &mut violations,
        );
        if let Some(timer) = &rotation {
            violations.record("--signing-key", timer.begin(&SystemClock, entropy));
        }
        let keys = match issuing.signing_key {
            Some(path) => violations.record("--signing-key", KeyRing::load(&path)),
            None if issuing.generate_keys => violations.record("--generate-keys", KeyRing::generate(entropy)),
            None => missing_key("--signing-key", &mut violations),
        };
        let opaque_keys = match issuing.opaque_key {
            Some(path) => violations.record("--opaque-key", OpaqueKeys::load(&path)),
            None if issuing.generate_keys => Some(OpaqueKeys::generate(entropy)),
            None => missing_key("--opaque-key", &mut violations),
        };
        let audit_entries = issuing.audit_stream_entries;
        if audit_entries > MAX_AUDIT_ENTRIES {
            violations.push("--audit-stream-entries", format!("must be 0 to {MAX_AUDIT_ENTRIES}"));
        }
        let peers = if issuing.ignore_peer_addresses {
            PeerAddresses::Ignore
        } else {
            PeerAddresses::Tell
        };
        let directory = self.directory.check(&mut violations);
        let skew = self.clock.check(&mut violations).map(|clock| SkewLimits {
            warn: clock.warn,
            refuse: clock.max,
        });
        let server = self.server.check(DEFAULT_LISTEN, &mut violations);
        let telemetry = self.telemetry.check(&mut violations);
        let asks = |server: &ServerConfig| server.tls.as_ref().is_some_and(ServerTls::asks_for_certificates);
        let client_certificates = server.as_ref().is_some_and(asks);
        let config = (|| {
            Some(IssuerConfig {
                redis: RedisOptions {
                    acknowledgement,
                    ..redis?
                },
                issuer_url: issuer_url?,
                http: HttpSettings {
                    client_certificates,
                    introspection_endpoint,
                    cors_origins: cors_origins?,
                },
                catalog: catalog.flatten(),
                keys: keys?,
                opaque_keys: opaque_keys?,
                key_wait,
                rotation,
                audit_stream_entries: NonZeroU64::new(audit_entries),
                generated_keys,
                directory: directory?,
                peers,
                skew: skew?,
                server: server?,
                telemetry: telemetry?,
            })
        })();
        violations.finish(config)
    }
}

fn acknowledgement(replicas: u32, wait_ms: u64, violations: &mut Violations) -> Option<Acknowledgement> {
    if replicas > MAX_REPLICAS {
        violations.push("--redis-min-replicas", format!("must be 0 to {MAX_REPLICAS}"));
    }
    if !(1..=MAX_WAIT_MS).contains(&wait_ms) {
        violations.push("--redis-wait-ms", format!("must be 1 to {MAX_WAIT_MS}"));
    }
    (replicas > 0).then_some(Acknowledgement {
        replicas,
        within: Duration::from_millis(wait_ms),
    })
}

/// RFC 6454, section 6.2: scheme, host, and a port that is not the scheme's.
fn cors_origins(origins: &[String], violations: &mut Violations) -> Option<Vec<HeaderValue>> {
    let plain = |origin: &String| {
        let uri = origin.parse::<http::Uri>().ok()?;
        let bare = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
        (bare == *origin).then(|| HeaderValue::from_str(origin).ok()).flatten()
    };
    let parsed: Option<Vec<_>> = origins.iter().map(plain).collect();
    if parsed.is_none() {
        violations.push(
            "--cors-origins",
            "must be origins without a path, such as https://app.example",
        );
    }
    parsed
}

/// `None` means that violations were recorded: one for each error of the file.
fn load_catalog(path: &Path, violations: &mut Violations) -> Option<CatalogSource> {
    let errors = match CatalogSource::open(path) {
        Ok(catalog) => return Some(catalog),
        Err(errors) => errors,
    };
    for error in errors.0 {
        violations.push("--catalog", error);
    }
    None
}

fn key_wait(seconds: u64, violations: &mut Violations) -> Duration {
    if seconds > MAX_KEY_WAIT_SECONDS {
        violations.push("--key-wait-seconds", format!("must be 0 to {MAX_KEY_WAIT_SECONDS}"));
    }
    Duration::from_secs(seconds)
}

fn rotation(hours: u64, directory: Option<&PathBuf>, violations: &mut Violations) -> Option<RotationTimer> {
    const NAME: &str = "--signing-key-rotation-hours";
    if hours > MAX_ROTATION_HOURS {
        violations.push(NAME, format!("must be 0 to {MAX_ROTATION_HOURS}"));
        return None;
    }
    let wanted = (hours > 0).then_some(directory)?;
    let Some(directory) = wanted.filter(|path| path.is_dir()) else {
        violations.push(NAME, "needs a directory for --signing-key");
        return None;
    };
    Some(RotationTimer::new(
        directory.clone(),
        Duration::from_secs(hours * 3_600),
    ))
}

fn missing_key<T>(name: &str, violations: &mut Violations) -> Option<T> {
    let why = "is required (`tokenbind keys generate` makes one), or --generate-keys for development";
    violations.push(name, why);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::CountingEntropy;

    fn check(args: &[&str]) -> Result<IssuerConfig, Violations> {
        let args = IssuerArgs::try_parse_from(["issuer"].iter().chain(args)).unwrap();
        args.check(&CountingEntropy::default())
    }

    #[test]
    fn the_least_for_development() {
        let config = check(&["--redis-url", "redis://localhost", "--generate-keys"]).unwrap();
        assert!(config.generated_keys && config.catalog.is_none() && config.redis.acknowledgement.is_none());
        assert_eq!(config.issuer_url, "http://localhost:7001");
        assert_eq!(
            (config.redis.namespace, config.server.listen),
            (Namespace::default(), DEFAULT_LISTEN)
        );
    }

    #[test]
    fn every_error_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (bad_key, catalog) = (folder.path().join("key"), folder.path().join("catalog.yaml"));
        std::fs::write(&bad_key, "x").unwrap();
        std::fs::write(&catalog, "version: 1\nsurprise: 1\nusers: 7\n").unwrap();
        let (bad_key, catalog) = (bad_key.to_str().unwrap(), catalog.to_str().unwrap());
        let violations = check(&[
            "--redis-min-replicas=17",
            "--redis-wait-ms=0",
            "--namespace",
            "A",
            "--issuer",
            "ftp://x",
            "--signing-key",
            bad_key,
            "--opaque-key",
            bad_key,
            "--catalog",
            catalog,
            "--listen",
            "x",
            "--log-format",
            "x",
        ])
        .unwrap_err()
        .to_string();
        let names = [
            "--redis-url:",
            "--redis-min-replicas:",
            "--redis-wait-ms:",
            "--namespace:",
            "--issuer:",
            "--signing-key:",
            "--opaque-key:",
            "--catalog:",
            "--listen:",
            "--log-format:",
        ];
        for name in names {
            assert!(
                violations.lines().any(|line| line.starts_with(name)),
                "{name} is missing in\n{violations}"
            );
        }
        assert!(
            violations.lines().filter(|line| line.starts_with("--catalog:")).count() >= 2,
            "{violations}"
        );
    }

    #[test]
    fn a_redis_url_is_never_repeated_in_an_error() {
        let violations = check(&["--redis-url", "http://u:canary@localhost"])
            .unwrap_err()
            .to_string();
        assert!(violations.contains("--redis-url: the Redis URL is not valid") && !violations.contains("canary"));
    }

    #[test]
    fn keys_are_not_generated_unasked() {
        let violations = check(&["--redis-url", "redis://localhost"]).unwrap_err().to_string();
        assert!(violations.contains("--signing-key: is required") && violations.contains("--opaque-key: is required"));
    }

    #[test]
    fn an_origin_has_no_path() {
        for (origins, fits) in [
            ("https://app.example", true),
            ("https://app.example,http://localhost:8080", true),
            ("https://app.example/", false),
            ("https://app.example,*", false),
            ("null", false),
            ("", false),
        ] {
            let origins: Vec<_> = origins.split(',').map(str::to_owned).collect();
            let mut violations = Violations::new();
            assert_eq!(cors_origins(&origins, &mut violations).is_some(), fits, "{origins:?}");
            assert_eq!(violations.is_empty(), fits, "{origins:?}");
        }
    }

    #[test]
    fn an_issuer_is_a_plain_url() {
        for (url, fits) in [
            ("https://issuer.example/tenant", true),
            ("http://127.0.0.1:7001", true),
            ("https://issuer.example/?a=b", false),
            ("https://issuer.example/#a", false),
            ("https://user@issuer.example", false),
            ("issuer.example", false),
            ("ftp://issuer.example", false),
            ("", false),
        ] {
            let mut violations = Violations::new();
            assert_eq!(
                violations.plain_url("--issuer", url.to_owned()).is_some(),
                fits,
                "{url}"
            );
            assert_eq!(violations.is_empty(), fits, "{url}");
        }
    }
}
