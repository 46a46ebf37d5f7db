//! What to measure, and how.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::words;

/// What to measure, and how.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(super) workload: WorkloadArgs,

    #[command(flatten)]
    pub(super) load: LoadArgs,

    #[command(flatten)]
    pub(super) target: TargetArgs,

    #[command(flatten)]
    pub(super) machine: MachineArgs,

    /// Writes everything that was measured to a JSON file
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,

    /// Writes plots as SVG into a folder: latency by percentile, and throughput against concurrency where several are given
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) plots: Option<PathBuf>,
}

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum WorkloadArgs {
    /// One token a call
    Validate(ValidateArgs),
    /// Several tokens a call
    Batch(BatchArgs),
    /// One token a question, on streams with several questions in flight on each
    Stream(StreamArgs),
    /// RFC 7662's question
    Introspect(TokensArgs),
    /// A new token a call, by `client_credentials` with the application's secret; slots are used in turn
    Issue(TokensArgs),
    /// The live opaque token of a slot again
    Reuse(SlotsArgs),
    /// From a revocation to the first denial at each validator
    RevokeDeny(RevokeDenyArgs),
    /// A long run at full load while tokens are superseded: throughput and the validator's memory over time
    Soak(SoakArgs),
    /// Bytes in Redis for each live token, and in the validator for each that it keeps
    Memory(MemoryArgs),
    /// The bare tonic service alone
    Baseline(TokensArgs),
}

/// Which tokens.
#[derive(Clone, Debug, Args)]
pub(super) struct TokensArgs {
    /// What they look like
    #[arg(long, value_enum, default_value = "jwt")]
    pub(super) format: Format,

    /// How many live tokens, or slots, each of another subject where the benchmark makes them itself
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(super) tokens: u64,
}

/// How many slots.
#[derive(Clone, Debug, Args)]
pub(super) struct SlotsArgs {
    /// How many live tokens
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(super) tokens: u64,
}

/// What happens meanwhile.
#[derive(Clone, Debug, Args)]
pub(super) struct SoakArgs {
    /// How many live tokens (jwt)
    #[arg(long, value_name = "COUNT", default_value = "100000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(super) tokens: u64,

    /// How many of them to supersede each second
    #[arg(long, value_name = "COUNT", default_value = "500", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(super) replace: u32,

    /// Seconds between two looks at the memory and the throughput
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = moment)]
    pub(super) every: Duration,
}

/// How many tokens.
#[derive(Clone, Debug, Args)]
pub(super) struct MemoryArgs {
    #[command(flatten)]
    pub(super) tokens: TokensArgs,

    /// Of how many of them the validator is asked [default: all]
    #[arg(long, value_name = "COUNT")]
    pub(super) kept: Option<u64>,
}

/// One token a call.
#[derive(Clone, Debug, Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    pub(super) tokens: TokensArgs,

    /// Asks for each token once, so that none is kept yet: more of --tokens measure longer
    #[arg(long)]
    pub(super) cold: bool,

    /// How fresh the answer must be
    #[arg(long, value_enum, default_value = "minimize")]
    pub(super) consistency: ConsistencyArg,
}

/// Several tokens a call.
#[derive(Clone, Debug, Args)]
pub(super) struct BatchArgs {
    #[command(flatten)]
    pub(super) tokens: TokensArgs,

    /// Tokens a call
    #[arg(long = "tokens-per-call", alias = "size", value_name = "COUNT", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) size: u32,
}

/// Questions on streams.
#[derive(Clone, Debug, Args)]
pub(super) struct StreamArgs {
    #[command(flatten)]
    pub(super) tokens: TokensArgs,

    /// Streams, over all connections; --concurrency questions are in flight over all of them
    #[arg(long, value_name = "COUNT", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) streams: u16,
}

/// Revocations.
#[derive(Clone, Debug, Args)]
pub(super) struct RevokeDenyArgs {
    /// What the tokens look like
    #[arg(long, value_enum, default_value = "jwt")]
    pub(super) format: Format,

    /// How many validators to start and to ask
    #[arg(long, value_name = "COUNT", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) validators: u32,

    /// How many tokens to revoke
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(super) revocations: u64,

    /// Questions to each validator each second while a revocation is on its way
    #[arg(long, value_name = "COUNT", default_value = "2000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) probes: u32,
}

/// What a token looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// Signed.
    Jwt,
    /// Without content.
    Opaque,
}

/// How fresh the answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConsistencyArg {
    /// `minimize_latency`
    Minimize,
    /// `fully_consistent`
    Fully,
}

/// The load.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadArgs {
    /// Calls in flight, over all connections; several values are measured one after the other
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        default_value = "64",
        value_delimiter = ','
    )]
    pub(super) concurrency: Vec<usize>,

    /// Connections
    #[arg(long, global = true, value_name = "COUNT", default_value = "8")]
    pub(super) connections: usize,

    /// Calls each second, whether or not earlier ones were answered; their latency counts from when they were due
    #[arg(long, global = true, value_name = "CALLS")]
    pub(super) rate: Option<f64>,

    /// Seconds of each measurement [default: 4, of soak 600]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = span)]
    pub(super) duration: Option<Duration>,

    /// Seconds before each measurement that do not count
    #[arg(long, global = true, value_name = "SECONDS", default_value = "1", value_parser = span)]
    pub(super) warmup: Duration,

    /// How often to measure, in turn with the bare service; the median counts
    #[arg(long, global = true, value_name = "COUNT", default_value = "3")]
    pub(super) rounds: usize,

    /// Leaves the bare service out
    #[arg(long, global = true)]
    pub(super) no_baseline: bool,
}

/// What to measure.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Target")]
pub(super) struct TargetArgs {
    /// Redis to use, `redis://[user[:password]@]host[:port]` [default: a private redis-server]
    #[arg(
        long,
        global = true,
        env = "TOKENBIND_REDIS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(super) redis_url: Option<SecretString>,

    /// The issuer to measure, IP:PORT without TLS [default: one is started]
    #[arg(long, global = true, value_name = "ADDRESS", requires_all = ["validator", "client_id", "client_secret", "resource_id", "resource_secret"])]
    pub(super) issuer: Option<SocketAddr>,

    /// The validator to measure, IP:PORT without TLS; several for revoke-deny [default: one is started]
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        requires = "issuer",
        value_delimiter = ','
    )]
    pub(super) validator: Vec<SocketAddr>,

    /// The application at that issuer: it needs the grant `client_credentials`, the binding
    /// `client_request` and the resource as audience
    #[arg(long, global = true, value_name = "CLIENT_ID", requires = "issuer")]
    pub(super) client_id: Option<String>,

    /// Its secret
    #[arg(
        long,
        global = true,
        env = "TOKENBIND_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(super) client_secret: Option<SecretString>,

    /// The resource that asks the validator
    #[arg(long, global = true, value_name = "RESOURCE_ID", requires = "issuer")]
    pub(super) resource_id: Option<String>,

    /// Its secret
    #[arg(
        long,
        global = true,
        env = "TOKENBIND_RESOURCE_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(super) resource_secret: Option<SecretString>,
}

/// Where the parts run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Machine")]
pub(super) struct MachineArgs {
    /// Cores of the services and of the bare one; of revoke-deny, each service has one of them in turn
    #[arg(
        long,
        global = true,
        value_name = "CORES",
        default_value = "0",
        value_delimiter = ','
    )]
    pub(super) server_cores: Vec<usize>,

    /// Cores of the private Redis
    #[arg(
        long,
        global = true,
        value_name = "CORES",
        default_value = "1",
        value_delimiter = ','
    )]
    pub(super) redis_cores: Vec<usize>,

    /// Cores of the load
    #[arg(
        long,
        global = true,
        value_name = "CORES",
        default_value = "2,3",
        value_delimiter = ','
    )]
    pub(super) load_cores: Vec<usize>,

    /// Lets the system choose the cores
    #[arg(long, global = true)]
    pub(super) no_pin: bool,

    /// The tokio runtimes of the services; the bare service has one thread, or shares them all
    #[arg(long, global = true, value_enum, default_value = "current-thread")]
    pub(super) runtime: Flavour,
}

/// How many tokio runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Flavour {
    /// One for each of the cores, with a thread of its own, as the services have by default.
    CurrentThread,
    /// One shared by a thread for each of the cores.
    MultiThread,
}

fn span(text: &str) -> Result<Duration, String> {
    words::seconds(text, 0.0..=3_600.0)
}

fn moment(text: &str) -> Result<Duration, String> {
    words::seconds(text, 0.05..=3_600.0)
}
