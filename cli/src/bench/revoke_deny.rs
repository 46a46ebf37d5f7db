//! From a revocation to the first denial at each validator.
//!
//! Each validator is probed at a fixed rate while a revocation is on its way, so that what is measured is the system and not
//! the probing: a latency ends with the answer to the first question that is denied, which is later than the validator knew
//! by up to one interval between questions.

mod found;

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use secrecy::ExposeSecret as _;
use tokenbind_proto::v1::RevokeTokenRequest;
use tokio::runtime;

pub(super) use self::found::RevokeDeny;
use self::found::{Found, Probed, Used};
use super::args::{BenchArgs, ConsistencyArg, RevokeDenyArgs};
use super::credentials::Credentials;
use super::failed;
use super::fill::{self, Filled};
use super::load::at;
use super::machine;
use super::measure::load_cores;
use super::peer::{CallError, Method, Peer, framed};
use super::stack::{Server, Stack};
use super::workload::{REVOKE, VALIDATE, first_field_is_one, question};
use crate::error::CliError;

/// A validator that allows for longer than this is asked no more.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Tokens that are issued at once.
const AT_ONCE: u64 = 500;
/// Steps of this part of an interval hit every moment between two questions equally often (the golden ratio).
const STEP: f64 = 0.618_033_988_749_895;

/// One thread's view of the services.
struct Bench {
    issuer: (Peer, Method),
    validators: Vec<(Peer, Method)>,
    /// Between two questions to the same validator.
    interval: Duration,
}

/// One question.
struct Probe {
    asked: Instant,
    answered: Instant,
    allowed: bool,
}

/// What to do, for the thread that does it.
struct Plan {
    issuer: SocketAddr,
    validators: Vec<SocketAddr>,
    revocations: u64,
    interval: Duration,
    credentials: Credentials,
}

/// Revokes one token after the other.
pub(super) async fn run(arguments: &BenchArgs, settings: &RevokeDenyArgs) -> Result<RevokeDeny, CliError> {
    let mut stack = Stack::new(&arguments.target, &arguments.machine, settings.format).await?;
    stack.spread();
    let issuer = stack.issuer()?;
    let count = usize::try_from(settings.validators).map_err(failed)?;
    let validators: Vec<Server> = (0..count)
        .map(|number| stack.validator(number, 1_000_000))
        .collect::<Result<_, _>>()?;
    let cores = load_cores(&arguments.machine);
    let plan = Plan {
        issuer: issuer.address,
        validators: validators.iter().map(|validator| validator.address).collect(),
        revocations: settings.revocations,
        interval: Duration::from_secs_f64(1.0 / f64::from(settings.probes)),
        credentials: stack.credentials.clone(),
    };
    let redis = stack.redis().and_then(super::redis_server::Redis::process_id);
    let used = || Used::by(issuer, &validators, redis);
    let (before, begun) = (used(), Instant::now());
    let load = std::thread::spawn(move || {
        machine::pin(None, &cores).map_err(failed)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        runtime.block_on(revoke_all(&plan))
    });
    let found = tokio::task::block_in_place(|| load.join()).map_err(|_| failed("the load panicked"))??;
    let busy = before
        .zip(used())
        .map(|(before, after)| after.since(&before, begun.elapsed()));
    Ok(found.summary(settings, count, busy))
}

async fn revoke_all(plan: &Plan) -> Result<Found, CliError> {
    let bench = Bench::connect(plan).await?;
    let mut found = Found::new();
    let mut told = Instant::now();
    for first in (0..plan.revocations).step_by(usize::try_from(AT_ONCE).map_err(failed)?) {
        let slots = first..plan.revocations.min(first + AT_ONCE);
        for filled in fill::from_issuer(plan.issuer, slots, &plan.credentials).await? {
            bench
                .one(&filled, &plan.credentials, &mut found)
                .await
                .map_err(failed)?;
        }
        if told.elapsed() > Duration::from_secs(1) {
            let (done, all) = (found.call.count(), plan.revocations);
            let _ = writeln!(std::io::stderr(), "revoked {done} of {all}");
            told = Instant::now();
        }
    }
    Ok(found)
}

impl Bench {
    async fn connect(plan: &Plan) -> Result<Self, CliError> {
        let authorization = plan.credentials.resource_authorization();
        let connected = plan.validators.iter().map(|address| {
            let method = Method::new(*address, VALIDATE, Some(&authorization)).map_err(failed);
            async move { Ok::<_, CliError>((Peer::connect(*address).await.map_err(failed)?, method?)) }
        });
        Ok(Self {
            issuer: (
                Peer::connect(plan.issuer).await.map_err(failed)?,
                Method::new(plan.issuer, REVOKE, None).map_err(failed)?,
            ),
            validators: try_join_all(connected).await?,
            interval: plan.interval,
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
        let probed = self.validators.iter().enumerate().map(|(number, validator)| {
            let first = start
                + self
                    .interval
                    .mul_f64(offset(found.call.count(), number, self.validators.len()));
            self.until_denied(validator, &asked, first)
        });
        let (acknowledged, probed) = tokio::try_join!(revoked, try_join_all(probed))?;
        found.add(start, acknowledged, &probed);
        Ok(())
    }

    /// Asks at fixed times until a question is denied, and waits for the answers to all.
    async fn until_denied(
        &self,
        (peer, method): &(Peer, Method),
        asked: &Bytes,
        first: Instant,
    ) -> Result<Probed, CallError> {
        let (mut denied, mut allowed, mut delays) = (None, Vec::new(), Vec::new());
        let mut open = FuturesUnordered::new();
        let mut due = first;
        loop {
            tokio::select! {
                biased;
                Some(probe) = open.next() => {
                    let Probe { asked, answered, allowed: is_allowed } = probe?;
                    if is_allowed {
                        allowed.push(asked);
                    } else {
                        denied.get_or_insert(answered);
                    }
                }
                now = at(due), if denied.is_none() => {
                    if now.saturating_duration_since(first) > GIVE_UP {
                        return Err(CallError::Wrong);
                    }
                    delays.push(now.saturating_duration_since(due));
                    open.push(probe(peer, method, asked.clone()));
                    due += self.interval;
                }
                else => break,
            }
        }
        Ok(Probed {
            denied: denied.ok_or(CallError::Wrong)?,
            allowed,
            delays,
        })
    }
}

async fn probe(peer: &Peer, method: &Method, question: Bytes) -> Result<Probe, CallError> {
    let asked = Instant::now();
    let answer = peer.call(method, question).await?;
    Ok(Probe {
        asked,
        answered: Instant::now(),
        allowed: first_field_is_one(&answer),
    })
}

/// When in an interval the first question is asked: spread over the validators, and over the revocations.
#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn offset(revocation: u64, validator: usize, validators: usize) -> f64 {
    (revocation as f64 * STEP + validator as f64 / validators.max(1) as f64).fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_hit_every_part_of_an_interval() {
        let mut parts: Vec<_> = (0..1_000).map(|revocation| offset(revocation, 3, 8)).collect();
        parts.sort_by(f64::total_cmp);
        for (number, part) in (0_u32..).zip(parts) {
            assert!((part - f64::from(number) / 1_000.0).abs() < 0.005, "{number}: {part}");
        }
    }
}
