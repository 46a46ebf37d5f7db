//! From a revocation to the first denial at each validator.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokenbind_proto::v1::RevokeTokenRequest;
use tokio::runtime;

use super::args::{BenchArgs, ConsistencyArg, RevokeDenyArgs};
use super::credentials::Credentials;
use super::failed;
use super::fill::{self, Filled};
use super::machine::{self};
use super::measure::load_cores;
use super::peer::{CallError, Method, Peer, framed};
use super::sample::{Latencies, LatencySummary};
use super::stack::{Server, Stack};
use super::workload::{REVOKE, VALIDATE, first_field_is_one, question};
use crate::error::CliError;

/// The validator's default lease: an allow that begins later after the acknowledgement breaks the promise.
const LEASE: Duration = Duration::from_secs(2);
/// Tokens that are issued at once.
const AT_ONCE: u64 = 500;

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct RevokeDeny {
    revocations: u64,
    validators: usize,
    /// From the start of the call that revokes to the denial at one validator.
    from_start_us: LatencySummary,
    /// From its start to the denial at the last validator.
    from_start_to_all_us: LatencySummary,
    /// From its acknowledgement to the denial at one validator; nothing for those that came before it.
    from_acknowledgement_us: LatencySummary,
    /// How long the revoking call took.
    call_us: LatencySummary,
    /// Questions that were asked after the acknowledgement and allowed all the same.
    allowed_after_acknowledgement: u64,
    /// The longest time from the acknowledgement to such a question.
    latest_allowed_us: f64,
    /// Those asked later than the lease.
    allowed_beyond_lease: u64,
}

/// One thread's view of the services.
struct Bench {
    issuer: (Peer, Method),
    validators: Vec<(Peer, Method)>,
    pause: Duration,
}

struct Found {
    from_start: Latencies,
    from_start_to_all: Latencies,
    from_acknowledgement: Latencies,
    call: Latencies,
    after: u64,
    latest: Duration,
    beyond: u64,
}

/// When one validator denied, and what it still allowed.
struct Denied {
    at: Instant,
    /// When the last allowed question was asked.
    last_allowed: Option<Instant>,
    /// When each allowed question was asked.
    allowed: Vec<Instant>,
}

/// Revokes one token after the other.
pub(super) async fn run(arguments: &BenchArgs, settings: &RevokeDenyArgs) -> Result<RevokeDeny, CliError> {
    let mut stack = Stack::new(&arguments.target, &arguments.machine, settings.format).await?;
    let issuer = stack.issuer()?;
    let count = usize::try_from(settings.validators).map_err(failed)?;
    let validators: Vec<Server> = (0..count)
        .map(|number| stack.validator(number, 1_000_000))
        .collect::<Result<_, _>>()?;
    let cores = load_cores(&arguments.machine);
    let credentials = stack.credentials.clone();
    let (revocations, pause) = (settings.revocations, Duration::from_micros(settings.pause_us));
    let addresses: Vec<_> = validators.iter().map(|validator| validator.address).collect();
    let issuer = issuer.address;
    let load = std::thread::spawn(move || {
        machine::pin(None, &cores).map_err(failed)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        runtime.block_on(revoke_all(issuer, &addresses, revocations, pause, &credentials))
    });
    let found = tokio::task::block_in_place(|| load.join()).map_err(|_| failed("the load panicked"))??;
    Ok(found.summary(revocations, count))
}

async fn revoke_all(
    issuer: SocketAddr,
    validators: &[SocketAddr],
    revocations: u64,
    pause: Duration,
    credentials: &Credentials,
) -> Result<Found, CliError> {
    let bench = Bench::connect(issuer, validators, pause, credentials).await?;
    let mut found = Found::new();
    let mut told = Instant::now();
    for first in (0..revocations).step_by(usize::try_from(AT_ONCE).map_err(failed)?) {
        let slots = first..revocations.min(first + AT_ONCE);
        for filled in fill::from_issuer(issuer, slots, credentials).await? {
            bench.one(&filled, credentials, &mut found).await.map_err(failed)?;
        }
        if told.elapsed() > Duration::from_secs(1) {
            let _ = writeln!(std::io::stderr(), "revoked {} of {revocations}", found.call.count());
            told = Instant::now();
        }
    }
    Ok(found)
}

impl Bench {
    async fn connect(
        issuer: SocketAddr,
        validators: &[SocketAddr],
        pause: Duration,
        credentials: &Credentials,
    ) -> Result<Self, CliError> {
        let authorization = credentials.resource_authorization();
        let connected = validators.iter().map(|address| {
            let method = Method::new(*address, VALIDATE, Some(&authorization)).map_err(failed);
            async move { Ok::<_, CliError>((Peer::connect(*address).await.map_err(failed)?, method?)) }
        });
        Ok(Self {
            issuer: (
                Peer::connect(issuer).await.map_err(failed)?,
                Method::new(issuer, REVOKE, None).map_err(failed)?,
            ),
            validators: try_join_all(connected).await?,
            pause,
        })
    }

    /// Asks each validator until it allows, revokes, and asks on until each denies.
    async fn one(&self, filled: &Filled, credentials: &Credentials, found: &mut Found) -> Result<(), CallError> {
        let asked = framed(&question(filled, ConsistencyArg::Minimize));
        let allowed = self.validators.iter().map(|(peer, method)| {
            let asked = asked.clone();
            async move {
                let answer = peer.call(method, asked).await?;
                first_field_is_one(&answer).then_some(()).ok_or(CallError::Wrong)
            }
        });
        try_join_all(allowed).await?;

        let revoke = framed(&RevokeTokenRequest {
            token: filled.token.clone(),
            client_id: filled.client_id.clone(),
            client_secret: credentials.client_secret().expose_secret().to_owned(),
            ..RevokeTokenRequest::default()
        });
        let start = Instant::now();
        let revoked = async {
            let (peer, method) = &self.issuer;
            // The answer is empty: a record of its revision at most.
            peer.call(method, revoke).await.map(|_| Instant::now())
        };
        let denied = try_join_all(
            self.validators
                .iter()
                .map(|validator| self.until_denied(validator, &asked)),
        );
        let (acknowledged, denied) = tokio::try_join!(revoked, denied)?;
        found.add(start, acknowledged, &denied);
        Ok(())
    }

    async fn until_denied(&self, (peer, method): &(Peer, Method), asked: &Bytes) -> Result<Denied, CallError> {
        let mut allowed = Vec::new();
        loop {
            let at = Instant::now();
            if !first_field_is_one(&peer.call(method, asked.clone()).await?) {
                return Ok(Denied {
                    at: Instant::now(),
                    last_allowed: allowed.last().copied(),
                    allowed,
                });
            }
            allowed.push(at);
            if !self.pause.is_zero() {
                let next = Instant::now() + self.pause;
                while Instant::now() < next {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl Found {
    fn new() -> Self {
        Self {
            from_start: Latencies::new(),
            from_start_to_all: Latencies::new(),
            from_acknowledgement: Latencies::new(),
            call: Latencies::new(),
            after: 0,
            latest: Duration::ZERO,
            beyond: 0,
        }
    }

    fn add(&mut self, start: Instant, acknowledged: Instant, denied: &[Denied]) {
        self.call.record(acknowledged - start);
        for one in denied {
            self.from_start.record(one.at - start);
            self.from_acknowledgement
                .record(one.at.saturating_duration_since(acknowledged));
            let after = one.allowed.iter().filter(|at| **at > acknowledged).count();
            self.after += u64::try_from(after).unwrap_or(u64::MAX);
            let late = one.last_allowed.map(|at| at.saturating_duration_since(acknowledged));
            let late = late.unwrap_or_default();
            self.latest = self.latest.max(late);
            self.beyond += u64::from(late > LEASE);
        }
        if let Some(last) = denied.iter().map(|one| one.at).max() {
            self.from_start_to_all.record(last - start);
        }
    }

    fn summary(self, revocations: u64, validators: usize) -> RevokeDeny {
        RevokeDeny {
            revocations,
            validators,
            from_start_us: self.from_start.summary(),
            from_start_to_all_us: self.from_start_to_all.summary(),
            from_acknowledgement_us: self.from_acknowledgement.summary(),
            call_us: self.call.summary(),
            allowed_after_acknowledgement: self.after,
            latest_allowed_us: self.latest.as_secs_f64() * 1e6,
            allowed_beyond_lease: self.beyond,
        }
    }
}

impl RevokeDeny {
    /// The curves for a plot.
    pub(super) fn curves(&self) -> [(&'static str, &LatencySummary); 4] {
        [
            ("start to denial", &self.from_start_us),
            ("start to denial at all", &self.from_start_to_all_us),
            ("acknowledgement to denial", &self.from_acknowledgement_us),
            ("revoking call", &self.call_us),
        ]
    }

    pub(super) fn text(&self) -> String {
        let rows = self.curves().map(|(name, latency)| {
            let value = |microseconds: f64| format!("{microseconds:.0} µs");
            [
                name.to_owned(),
                value(latency.p50),
                value(latency.p90),
                value(latency.p99),
                value(latency.p999),
                value(latency.max),
            ]
        });
        let table = crate::output::table(["", "P50", "P90", "P99", "P99.9", "MAX"], rows);
        format!(
            "{table}\nallowed although asked after the acknowledgement: {} (the last {:.0} µs after it), beyond the lease: {}",
            self.allowed_after_acknowledgement, self.latest_allowed_us, self.allowed_beyond_lease
        )
    }
}
