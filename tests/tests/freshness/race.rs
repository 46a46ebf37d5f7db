//! Everything that ends a token, racing first reads and reads of what is kept, on several validators.
//!
//! A round is one token that ends while every validator is asked about it. Rounds run in small groups, many groups at a time.

use std::ops::AddAssign;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{App, wait_until};

use crate::rig::{LEASE, Rig, SHORT_LIFE};
use crate::seen::{allowed, freshness, known_at_us, staleness_us};

/// Groups that run at a time, each with applications of its own.
pub(crate) const WORKERS: usize = 16;
/// Tokens in a group.
const GROUP: usize = 8;
/// What a healthy validator needs to learn of it, with processors to spare.
const PROMPT: Duration = Duration::from_millis(5);

/// What ends tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Token,
    Binding,
    Subject,
    Application,
    Superseded,
    Expired,
}

/// When a token ended for the one who ended it.
#[derive(Debug)]
struct Ended {
    acknowledged: Instant,
    /// By the index's clock.
    revision: u64,
}

/// A token and its end.
struct Held {
    device: String,
    token: String,
    ended: OnceLock<Ended>,
}

/// What was counted.
#[derive(Debug, Default)]
struct Tally {
    rounds: usize,
    answers: usize,
    allowed: usize,
    /// Rounds on one validator whose first answer was an ALLOW that was asked for before the end and came after it.
    crossed: usize,
    /// For each ALLOW that was asked for after the acknowledgement: by how much.
    late: Vec<Duration>,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.answers += other.answers;
        self.allowed += other.allowed;
        self.crossed += other.crossed;
        self.late.extend(other.late);
    }
}

impl Tally {
    fn conclude(mut self, what: &str, took: Duration) {
        self.late.sort_unstable();
        let slow = self.late.iter().filter(|late| **late > PROMPT).count();
        eprintln!(
            "{what}: {} rounds in {took:.1?}, {} answers, {} of them ALLOW, {} reads crossed an end; ALLOW asked for \
             after the acknowledgement: {}, over {PROMPT:?}: {slow}, longest {:?}",
            self.rounds,
            self.answers,
            self.allowed,
            self.crossed,
            self.late.len(),
            self.late.last().unwrap_or(&Duration::ZERO),
        );
        assert!(self.allowed > self.rounds / 2, "they are asked about too late");
        assert!(self.late.last().is_none_or(|late| *late <= LEASE), "beyond the lease");
    }
}

pub(crate) async fn race(rig: &Rig, formats: &[TokenFormat], ends: &[End], groups: usize) {
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    // Those that have to wait for their end share applications.
    let workers = if ends == [End::Expired] { 4 * WORKERS } else { WORKERS };
    let workers = (0..workers).map(async |worker| {
        let mut tally = Tally::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= groups {
                return tally;
            }
            let format = formats[number % formats.len()];
            let end = ends[number / formats.len() % ends.len()];
            // Every other time the token is known before.
            let known = number / formats.len() / ends.len() % 2 == 1;
            tally += group(rig, worker, number, format, end, known).await;
        }
    });
    let mut total = Tally::default();
    for tally in join_all(workers).await {
        total += tally;
    }
    total.conclude(&format!("{ends:?}"), begun.elapsed());
}

async fn group(rig: &Rig, worker: usize, number: usize, format: TokenFormat, end: End, known: bool) -> Tally {
    let app = match end {
        End::Expired => Rig::short_lived(format),
        _ => Rig::app(format, worker),
    };
    let issued = stream::iter(0..GROUP).map(async |index| {
        let device = format!("{number}-{index}");
        let issued = rig.issue(&app, &device).await;
        let held = Held {
            device,
            token: issued.access_token,
            ended: OnceLock::new(),
        };
        if end == End::Expired {
            let revision = end_us(&held.token, issued.revision);
            let ended = Ended {
                acknowledged: Instant::now() + Duration::from_micros(revision - issued.revision),
                revision,
            };
            held.ended.set(ended).unwrap();
        }
        held
    });
    // Those of many groups at once are enough for the issuer.
    let at_a_time = if end == End::Expired { 1 } else { GROUP };
    let held: Vec<_> = issued.buffered(at_a_time).collect().await;
    let tokens: Vec<_> = held.iter().map(|held| held.token.clone()).collect();
    if known {
        for validator in &rig.validators {
            let verdicts = validator.client.validate_all(&rig.api, &tokens).await;
            // Where little time is left, some may be at their end.
            assert!(
                end == End::Expired || verdicts.iter().all(allowed),
                "{end:?} {format:?}"
            );
        }
    }
    if end == End::Expired {
        let end = held[0].ended.get().unwrap().acknowledged;
        wait_until("tokens are about to end", 2 * SHORT_LIFE, async || {
            (Instant::now() + 40 * PROMPT >= end).then_some(())
        })
        .await;
    }
    let asked = (0..rig.validators.len()).map(|validator| ask_on(rig, validator, &held, &tokens, (end, known)));
    let (tallies, ()) = tokio::join!(join_all(asked), end_all(rig, &app, end, &held));
    let mut tally = Tally {
        rounds: GROUP,
        ..Tally::default()
    };
    for other in tallies {
        tally += other;
    }
    tally
}

/// When a token of [`Rig::short_lived`] ends, in microseconds since 1970: a JWT at a whole second that it says itself.
fn end_us(token: &str, issued_us: u64) -> u64 {
    let Some(payload) = token.split('.').nth(1) else {
        return issued_us + u64::try_from(SHORT_LIFE.as_micros()).unwrap();
    };
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims["exp"].as_u64().unwrap() * 1_000_000
}

async fn end_all(rig: &Rig, app: &App, end: End, held: &[Held]) {
    let done = |held: &Held, revision| {
        let acknowledged = Instant::now();
        let ended = Ended { acknowledged, revision };
        held.ended.set(ended).unwrap();
    };
    let one = async |held: &Held| {
        let revision = match end {
            End::Token => rig.revoke_token(app, &held.token).await.unwrap(),
            End::Binding => rig.revoke_binding(app, &held.device).await.unwrap(),
            _ => {
                let issued = rig.issue(app, &held.device).await;
                assert!(issued.superseded);
                issued.revision
            }
        };
        done(held, revision);
    };
    match end {
        End::Expired => {}
        End::Token | End::Binding | End::Superseded => {
            join_all(held.iter().map(one)).await;
        }
        End::Subject | End::Application => {
            let revision = match end {
                End::Subject => rig.revoke_subject(app).await,
                _ => rig.revoke_application(app).await,
            };
            let revision = revision.unwrap();
            for held in held {
                done(held, revision);
            }
        }
    }
}

/// Asks one validator about all until they have ended and it knows, or ought to.
async fn ask_on(rig: &Rig, validator: usize, held: &[Held], tokens: &[String], what: (End, bool)) -> Tally {
    let client = &rig.validators[validator].client;
    let mut tally = Tally::default();
    let mut allows = Vec::new();
    for attempt in 0.. {
        let last_end = held.iter().map(|held| Some(held.ended.get()?.acknowledged)).max();
        let all_ended = held.iter().all(|held| held.ended.get().is_some());
        let started = Instant::now();
        let verdicts = client.validate_all(&rig.api, tokens).await;
        tally.answers += verdicts.len();
        let before = allows.len();
        for (index, verdict) in verdicts.iter().enumerate() {
            assert!(staleness_us(freshness(verdict)) <= u64::try_from(LEASE.as_micros()).unwrap());
            if allowed(verdict) {
                let over = |ended: &Ended| ended.acknowledged <= Instant::now();
                let crossed = attempt == 0 && held[index].ended.get().is_some_and(over);
                tally.crossed += usize::from(crossed);
                allows.push((index, started, known_at_us(verdict)));
            }
        }
        let overdue = last_end.flatten().is_some_and(|end| started > end + 2 * LEASE);
        if all_ended && (allows.len() == before || overdue) {
            break;
        }
    }
    tally.allowed = allows.len();
    for (index, started, known_at_us) in allows {
        let ended = held[index].ended.get().unwrap();
        assert!(
            known_at_us <= ended.revision,
            "V11: {what:?}: it ended {} us before the answer says that it was live",
            known_at_us - ended.revision
        );
        tally.late.extend(started.checked_duration_since(ended.acknowledged));
    }
    tally
}

pub(crate) const BOTH: [TokenFormat; 2] = [TokenFormat::Jwt, TokenFormat::Opaque];

/// 20,224 rounds in all.
macro_rules! races {
    ($($name:ident: $formats:expr, $ends:expr, $groups:expr),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let rig = Rig::start(WORKERS, &[false, false]).await;
            race(&rig, &$formats, &$ends, $groups).await;
        })+
    };
}

races!(
    r1_no_revoked_token_crosses_a_read_unseen: BOTH, [End::Token], 750,
    r2_no_revoked_binding_crosses_a_read_unseen: BOTH, [End::Binding], 750,
    r3_no_revoked_subject_crosses_a_read_unseen: BOTH, [End::Subject], 300,
    r4_no_revoked_application_crosses_a_read_unseen: BOTH, [End::Application], 200,
    s3_no_superseded_token_crosses_a_read_unseen: [TokenFormat::Jwt], [End::Superseded], 400,
    no_expired_token_crosses_a_read_unseen: BOTH, [End::Expired], 128,
);
