//! Sends a load from threads of its own, and takes the time of every answer.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime;
use tokio::task::JoinSet;

use super::machine::{self, cpu_seconds, resident_bytes};
use super::peer::{CallError, Method, Peer};
use super::sample::{Latencies, Sample, Tick};
use super::workload::{Answer, Shape, Workload};
use super::{failed, stream_load};
use crate::error::CliError;

/// A load.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) address: SocketAddr,
    pub(super) workload: Workload,
    pub(super) connections: usize,
    pub(super) concurrency: usize,
    pub(super) rate: Option<f64>,
    pub(super) warmup: Duration,
    pub(super) duration: Duration,
    /// Of the load; empty for all.
    pub(super) cores: Vec<usize>,
    pub(super) server: Option<u32>,
    pub(super) redis: Option<u32>,
    /// How often to look at the processes while the load goes on.
    pub(super) every: Option<Duration>,
    /// What the progress calls it.
    pub(super) name: String,
}

/// What all threads of a load share.
pub(super) struct Shared {
    pub(super) load: Load,
    pub(super) method: Method,
    next_call: AtomicU64,
    answered: AtomicU64,
    /// From when on answers count.
    from: Instant,
    pub(super) until: Instant,
    outcome: Mutex<Outcome>,
}

/// One question and what came back.
pub(super) struct Answered {
    /// From when on its latency counts.
    pub(super) due: Instant,
    pub(super) at: Instant,
    /// Bytes of the message that was sent.
    pub(super) sent: usize,
    pub(super) answer: Result<Bytes, CallError>,
}

/// What came of the calls that count.
pub(super) struct Outcome {
    latencies: Latencies,
    superseded: u64,
    sent_bytes: u64,
    received_bytes: u64,
    errors: u64,
    error: Option<String>,
    last: Option<Instant>,
}

impl Outcome {
    fn new() -> Self {
        Self {
            latencies: Latencies::new(),
            superseded: 0,
            sent_bytes: 0,
            received_bytes: 0,
            errors: 0,
            error: None,
            last: None,
        }
    }

    fn add(&mut self, other: Self) {
        self.latencies.add(&other.latencies);
        self.superseded += other.superseded;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.errors += other.errors;
        self.error = self.error.take().or(other.error);
        self.last = self.last.max(other.last);
    }
}

/// What one thread keeps for itself until the end.
pub(super) type Record = Arc<Mutex<Outcome>>;

impl Shared {
    /// The message of the next question; `None` when there are no more.
    pub(super) fn next_message(&self) -> Option<Bytes> {
        let number = self.next_call.fetch_add(1, Ordering::Relaxed);
        self.load.workload.messages.get(number)
    }

    /// Counts answers that came together.
    pub(super) fn count(&self, record: &Record, answered: impl IntoIterator<Item = Answered>) {
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        for one in answered {
            self.answered.fetch_add(1, Ordering::Relaxed);
            // With a fixed rate, a late answer is the one that matters: it counts by when it was due.
            let counts = match self.load.rate {
                None => one.at >= self.from && one.at <= self.until,
                Some(_) => one.due >= self.from,
            };
            if counts {
                record.count(one, self.load.workload.judge);
            }
        }
    }
}

impl Outcome {
    fn count(&mut self, answered: Answered, judge: fn(&[u8]) -> Answer) {
        self.last = self.last.max(Some(answered.at));
        let answer = match answered.answer {
            Ok(answer) => answer,
            Err(error) => return self.fail(&error),
        };
        match judge(&answer) {
            Answer::Good => {}
            Answer::Superseded => self.superseded += 1,
            Answer::Wrong => return self.fail(&CallError::Wrong),
        }
        self.latencies
            .record(answered.at.saturating_duration_since(answered.due));
        self.sent_bytes += answered.sent as u64;
        self.received_bytes += answer.len() as u64;
    }

    fn fail(&mut self, error: &CallError) {
        self.errors += 1;
        self.error.get_or_insert_with(|| error.to_string());
    }
}

/// Sends the load and waits for its end.
pub(super) fn run(mut load: Load) -> Result<Sample, CliError> {
    if load.rate.is_none() {
        // A connection or a stream without a call in flight would be one more caller.
        load.connections = load.connections.min(load.concurrency).max(1);
        load.workload.shape.limit(load.concurrency);
    }
    if let Shape::Streams(streams) = load.workload.shape {
        load.connections = load.connections.min(streams);
    }
    let method = Method::new(load.address, load.workload.path, load.workload.authorization.as_deref());
    let method = method.map_err(failed)?;
    let from = Instant::now() + load.warmup;
    let shared = Arc::new(Shared {
        method,
        next_call: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        from,
        until: from + load.duration,
        outcome: Mutex::new(Outcome::new()),
        load,
    });
    let threads = shared.load.cores.len().max(1).min(shared.load.connections.max(1));
    let threads: Vec<_> = (0..threads)
        .map(|number| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || drive(&shared, number, threads))
        })
        .collect();
    let used = watch(&shared, &threads);
    for thread in threads {
        thread.join().map_err(|_| failed("a thread of the load panicked"))??;
    }
    Ok(sample(&shared, used))
}

/// What the processes used while answers counted.
struct Used {
    server: Option<f64>,
    redis: Option<f64>,
    timeline: Vec<Tick>,
}

/// Tells the progress, and looks at the processes: at both ends, and as often as the load wants.
fn watch(shared: &Shared, threads: &[thread::JoinHandle<Result<(), CliError>>]) -> Used {
    let load = &shared.load;
    let read = || [load.server, load.redis].map(|process| process.and_then(cpu_seconds));
    let answered = || shared.answered.load(Ordering::Relaxed);
    thread::sleep(shared.from.saturating_duration_since(Instant::now()));
    let before = read();
    let (mut told, mut looked) = (Since::now(answered()), Since::now(answered()));
    let mut timeline = Vec::new();
    while Instant::now() < shared.until && threads.iter().any(|thread| !thread.is_finished()) {
        let left = shared.until.saturating_duration_since(Instant::now());
        thread::sleep(left.min(Duration::from_millis(50)));
        if told.at.elapsed() >= Duration::from_millis(990) {
            tell(&load.name, told.per_second(answered()));
            told = Since::now(answered());
        }
        if load.every.is_some_and(|every| looked.at.elapsed() >= every) {
            timeline.push(Tick {
                seconds: shared.from.elapsed().as_secs_f64(),
                per_second: looked.per_second(answered()),
                resident_bytes: load.server.and_then(resident_bytes),
                redis_resident_bytes: load.redis.and_then(resident_bytes),
            });
            looked = Since::now(answered());
        }
    }
    let after = read();
    let used = |index: usize| Some(after.get(index).copied()?? - before.get(index).copied()??);
    Used {
        server: used(0),
        redis: used(1),
        timeline,
    }
}

/// How many were answered by when.
struct Since {
    at: Instant,
    answered: u64,
}

impl Since {
    fn now(answered: u64) -> Self {
        Self {
            at: Instant::now(),
            answered,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    fn per_second(&self, answered: u64) -> f64 {
        (answered - self.answered) as f64 / self.at.elapsed().as_secs_f64().max(f64::EPSILON)
    }
}

fn tell(name: &str, per_second: f64) {
    // Where nobody reads stderr there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{name}: {per_second:.0}/s");
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn sample(shared: &Shared, used: Used) -> Sample {
    let outcome = shared.outcome.lock().unwrap_or_else(PoisonError::into_inner);
    let end = outcome.last.unwrap_or(shared.until).min(shared.until);
    let seconds = end.saturating_duration_since(shared.from).as_secs_f64();
    let good = outcome.latencies.count() as f64;
    Sample {
        calls: outcome.latencies.count(),
        superseded: outcome.superseded,
        errors: outcome.errors,
        error: outcome.error.clone(),
        seconds,
        per_second: good / seconds.max(f64::EPSILON),
        sent_bytes_per_call: outcome.sent_bytes as f64 / good.max(1.0),
        received_bytes_per_call: outcome.received_bytes as f64 / good.max(1.0),
        server_cpu_seconds: used.server,
        redis_cpu_seconds: used.redis,
        per_server_cpu_second: used.server.filter(|used| *used > 0.0).map(|used| good / used),
        latency_us: outcome.latencies.summary(),
        timeline: used.timeline,
    }
}

/// One thread of the load, with its share of connections and calls.
fn drive(shared: &Arc<Shared>, number: usize, threads: usize) -> Result<(), CliError> {
    let load = &shared.load;
    if let Some(core) = load.cores.get(number) {
        machine::pin(None, &[*core]).map_err(failed)?;
    }
    let share = |whole: usize| whole / threads + usize::from(number < whole % threads);
    let (connections, concurrency) = (share(load.connections).max(1), share(load.concurrency).max(1));
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let record: Record = Arc::new(Mutex::new(Outcome::new()));
    runtime.block_on(async {
        let mut peers = Vec::with_capacity(connections);
        for _ in 0..connections {
            peers.push(Peer::connect(load.address).await.map_err(failed)?);
        }
        let rate = load
            .rate
            .map(|rate| rate / f64::from(u32::try_from(threads).unwrap_or(u32::MAX)));
        match (load.workload.shape, rate) {
            (Shape::Calls, None) => closed(shared, &peers, concurrency, &record).await,
            (Shape::Calls, Some(rate)) => open(shared, &peers, rate, &record).await,
            (Shape::Streams(streams), None) => {
                stream_load::closed(shared, &peers, share(streams).max(1), concurrency, &record).await;
            }
            (Shape::Streams(streams), Some(rate)) => {
                stream_load::open(shared, &peers, share(streams).max(1), rate, &record).await;
            }
        }
        Ok::<(), CliError>(())
    })?;
    drop(runtime);
    let record = std::mem::replace(
        &mut *record.lock().unwrap_or_else(PoisonError::into_inner),
        Outcome::new(),
    );
    let mut outcome = shared.outcome.lock().unwrap_or_else(PoisonError::into_inner);
    outcome.add(record);
    Ok(())
}

/// Each caller waits for its answer before it calls again.
async fn closed(shared: &Arc<Shared>, peers: &[Peer], concurrency: usize, record: &Record) {
    let mut callers = JoinSet::new();
    for peer in peers.iter().cycle().take(concurrency.max(peers.len())) {
        let (shared, peer, record) = (Arc::clone(shared), peer.clone(), Arc::clone(record));
        callers.spawn(async move {
            while Instant::now() < shared.until {
                if !call(&shared, &peer, &record, Instant::now()).await {
                    break;
                }
            }
        });
    }
    while callers.join_next().await.is_some() {}
}

/// Calls come at fixed times, whether or not earlier ones were answered.
async fn open(shared: &Arc<Shared>, peers: &[Peer], rate: f64, record: &Record) {
    let mut pace = Pace::new(rate);
    let mut callers = JoinSet::new();
    for peer in peers.iter().cycle() {
        let due = pace.next().await;
        if due >= shared.until {
            break;
        }
        let (shared, peer, record) = (Arc::clone(shared), peer.clone(), Arc::clone(record));
        callers.spawn(async move { call(&shared, &peer, &record, due).await });
        while callers.try_join_next().is_some() {}
    }
    while callers.join_next().await.is_some() {}
}

/// Moments with the same time between them.
pub(super) struct Pace {
    interval: Duration,
    due: Instant,
}

impl Pace {
    /// So many each second, from now on.
    pub(super) fn new(per_second: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / per_second.max(0.001)),
            due: Instant::now(),
        }
    }

    /// Waits for the next one. It is in the past where the last one took too long.
    pub(super) async fn next(&mut self) -> Instant {
        let due = self.due;
        at(due).await;
        self.due += self.interval;
        due
    }
}

/// Waits for a moment, and answers the moment that it was.
pub(super) async fn at(due: Instant) -> Instant {
    loop {
        let now = Instant::now();
        if now >= due {
            return now;
        }
        // Timers are a thousand times too coarse for this; the core is the load's own.
        tokio::task::yield_now().await;
    }
}

/// One call; `false` when there are no more messages, or the connection is gone.
async fn call(shared: &Shared, peer: &Peer, record: &Record, due: Instant) -> bool {
    let Some(message) = shared.next_message() else {
        return false;
    };
    let sent = message.len();
    let answer = peer.call(&shared.method, message).await;
    let goes_on = !matches!(answer, Err(CallError::Broken(_)));
    let at = Instant::now();
    shared.count(record, [Answered { due, at, sent, answer }]);
    goes_on
}
