//! Sends a load from threads of its own, and takes the time of every answer.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::task::JoinSet;

use super::failed;
use super::machine::{self, cpu_seconds};
use super::peer::{CallError, Method, Peer};
use super::sample::{Latencies, Sample};
use super::workload::Workload;
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
    /// What the progress calls it.
    pub(super) name: String,
}

/// What all threads of a load share.
struct Shared {
    load: Load,
    method: Method,
    next_call: AtomicU64,
    answered: AtomicU64,
    /// From when on answers count.
    from: Instant,
    until: Instant,
    outcome: Mutex<Outcome>,
}

/// What came of the calls that count.
struct Outcome {
    latencies: Latencies,
    errors: u64,
    error: Option<String>,
    last: Option<Instant>,
}

impl Outcome {
    fn new() -> Self {
        Self {
            latencies: Latencies::new(),
            errors: 0,
            error: None,
            last: None,
        }
    }

    fn add(&mut self, other: Self) {
        self.latencies.add(&other.latencies);
        self.errors += other.errors;
        self.error = self.error.take().or(other.error);
        self.last = self.last.max(other.last);
    }
}

/// What one thread keeps for itself until the end.
type Record = Arc<Mutex<Outcome>>;

/// Sends the load and waits for its end.
pub(super) fn run(mut load: Load) -> Result<Sample, CliError> {
    if load.rate.is_none() {
        // A connection without a call in flight would be one more caller.
        load.connections = load.connections.min(load.concurrency).max(1);
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

/// Processor time of the server and of Redis while answers counted.
type Used = (Option<f64>, Option<f64>);

/// Tells the progress, and reads the processor times at both ends.
fn watch(shared: &Shared, threads: &[thread::JoinHandle<Result<(), CliError>>]) -> Used {
    let read = || [shared.load.server, shared.load.redis].map(|process| process.and_then(cpu_seconds));
    thread::sleep(shared.from.saturating_duration_since(Instant::now()));
    let before = read();
    let mut answered = shared.answered.load(Ordering::Relaxed);
    let mut told = Instant::now();
    while Instant::now() < shared.until && threads.iter().any(|thread| !thread.is_finished()) {
        let second = Duration::from_secs(1).min(shared.until.saturating_duration_since(Instant::now()));
        thread::sleep(second.min(Duration::from_millis(50)));
        if told.elapsed() >= Duration::from_millis(990) {
            let now = shared.answered.load(Ordering::Relaxed);
            tell(&shared.load.name, now - answered, told.elapsed());
            (answered, told) = (now, Instant::now());
        }
    }
    let after = read();
    let used = |index: usize| Some(after.get(index).copied()?? - before.get(index).copied()??);
    (used(0), used(1))
}

fn tell(name: &str, answered: u64, elapsed: Duration) {
    let per_second = u128::from(answered) * 1_000 / elapsed.as_millis().max(1);
    // Where nobody reads stderr there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{name}: {per_second}/s");
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn sample(shared: &Shared, (server, redis): Used) -> Sample {
    let outcome = shared.outcome.lock().unwrap_or_else(PoisonError::into_inner);
    let end = outcome.last.unwrap_or(shared.until).min(shared.until);
    let seconds = end.saturating_duration_since(shared.from).as_secs_f64();
    let good = outcome.latencies.count() as f64;
    Sample {
        calls: outcome.latencies.count(),
        errors: outcome.errors,
        error: outcome.error.clone(),
        seconds,
        per_second: good / seconds.max(f64::EPSILON),
        server_cpu_seconds: server,
        redis_cpu_seconds: redis,
        per_server_cpu_second: server.filter(|used| *used > 0.0).map(|used| good / used),
        latency_us: outcome.latencies.summary(),
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
        match load.rate {
            None => closed(shared, &peers, concurrency, &record).await,
            Some(rate) => {
                let threads = u32::try_from(threads).unwrap_or(u32::MAX);
                open(shared, &peers, rate / f64::from(threads), &record).await;
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
    let interval = Duration::from_secs_f64(1.0 / rate.max(0.001));
    let mut due = Instant::now();
    let mut callers = JoinSet::new();
    for peer in peers.iter().cycle() {
        // Timers are a thousand times too coarse for this; the core is the load's own.
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        if due >= shared.until {
            break;
        }
        let (shared, peer, record) = (Arc::clone(shared), peer.clone(), Arc::clone(record));
        callers.spawn(async move { call(&shared, &peer, &record, due).await });
        while callers.try_join_next().is_some() {}
        due += interval;
    }
    while callers.join_next().await.is_some() {}
}

/// One call; `false` when there are no more messages, or the connection is gone.
async fn call(shared: &Shared, peer: &Peer, record: &Record, due: Instant) -> bool {
    let number = shared.next_call.fetch_add(1, Ordering::Relaxed);
    let workload = &shared.load.workload;
    let Some(message) = workload.messages.get(number) else {
        return false;
    };
    let answer = match peer.call(&shared.method, message).await {
        Ok(answer) if (workload.good)(&answer) => Ok(()),
        Ok(_) => Err(CallError::Wrong),
        Err(error) => Err(error),
    };
    let now = Instant::now();
    shared.answered.fetch_add(1, Ordering::Relaxed);
    let goes_on = !matches!(answer, Err(CallError::Broken(_)));
    // With a fixed rate, a late answer is the one that matters: it counts by when it was due.
    let counts = match shared.load.rate {
        None => now >= shared.from && now <= shared.until,
        Some(_) => due >= shared.from,
    };
    if counts {
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(()) => record.latencies.record(now - due),
            Err(error) => {
                record.errors += 1;
                record.error.get_or_insert_with(|| error.to_string());
            }
        }
        record.last = record.last.max(Some(now));
    }
    goes_on
}
