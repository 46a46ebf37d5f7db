//! A long run at full load while tokens are superseded: does the validator's memory stay where it is?

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use super::args::{BenchArgs, ConsistencyArg, Format, SoakArgs};
use super::load::{self, Load};
use super::measure::{load_cores, probe, touch};
use super::peer::framed;
use super::sample::{Sample, Tick};
use super::stack::Stack;
use super::{failed, workload};
use crate::error::CliError;

/// As issue and documentation speak of it.
const DURATION: Duration = Duration::from_secs(600);
/// The part of the run that does not count, while caches, buffers and the allocator fill up.
const SETTLING: f64 = 0.2;
/// A straight line through fewer looks says nothing.
const FEWEST_TICKS: usize = 8;
/// Memory is flat when it rises by no more than this share of itself over the part that counts.
const FLAT: f64 = 0.02;
/// How often superseding catches up with its rate.
const STEP: Duration = Duration::from_millis(20);

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Soak {
    tokens: u64,
    /// How many the validator may keep: those that are live, and a quarter more for those that no longer are.
    entries: u64,
    /// Tokens that were superseded meanwhile.
    superseded: u64,
    superseded_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trend: Option<Trend>,
    verdict: Verdict,
    pub(super) sample: Sample,
}

/// The straight line through the validator's resident memory, after it has settled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Trend {
    from_seconds: f64,
    mean_bytes: f64,
    bytes_per_second: f64,
    /// How much that is over the part that counts, to the mean.
    rise: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Flat,
    Growing,
    TooShort,
}

/// The messages that the load sends: each is replaced when its token is.
type Cells = Arc<[Mutex<Bytes>]>;

/// Runs the load.
pub(super) async fn run(arguments: &BenchArgs, settings: &SoakArgs) -> Result<Soak, CliError> {
    let mut stack = Stack::new(&arguments.target, &arguments.machine, Format::Jwt).await?;
    let filled = stack.fill(Format::Jwt, 0..settings.tokens).await?;
    let entries = settings.tokens.saturating_add(settings.tokens / 4).max(1_000);
    let ours = stack.validator(0, entries)?;
    let first = workload::validate(&filled, ConsistencyArg::Minimize, false, &stack.credentials);
    probe(ours, &first).await?;
    tokio::task::block_in_place(|| touch(ours, &arguments.load, &arguments.machine, &first))?;

    let cells: Cells = filled
        .iter()
        .map(|token| Mutex::new(framed(&workload::question(token, ConsistencyArg::Minimize))))
        .collect();
    drop((filled, first));
    let load = Load {
        address: ours.address,
        workload: workload::validate_replaced(Arc::clone(&cells), &stack.credentials),
        connections: arguments.load.connections,
        concurrency: arguments.load.concurrency.first().copied().unwrap_or(1),
        rate: arguments.load.rate,
        warmup: arguments.load.warmup,
        duration: arguments.load.duration.unwrap_or(DURATION),
        cores: load_cores(&arguments.machine),
        server: ours.process,
        redis: stack.redis().and_then(super::redis_server::Redis::process_id),
        every: Some(settings.every),
        name: "soak".to_owned(),
    };
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let begun = Instant::now();
    let load = tokio::task::spawn_blocking(move || {
        let sample = load::run(load);
        ended.store(true, Ordering::Relaxed);
        sample
    });
    let superseded = supersede(&stack, &cells, settings.replace, &over).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let sample = load.await.map_err(failed)??;
    Ok(Soak::of(settings.tokens, entries, superseded, seconds, sample))
}

/// Supersedes one token after the other, so many each second, until the load is over.
async fn supersede(stack: &Stack, cells: &Cells, per_second: u32, over: &AtomicBool) -> Result<u64, CliError> {
    let (slots, begun) = (cells.len() as u64, Instant::now());
    let mut superseded = 0;
    let mut step = tokio::time::interval(STEP);
    while !over.load(Ordering::Relaxed) {
        step.tick().await;
        let due = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX) * u64::from(per_second) / 1_000;
        let from = superseded % slots.max(1);
        let count = due.saturating_sub(superseded).min(slots - from);
        let slots = from..from + count;
        let cells = cells.iter().skip(usize::try_from(from).map_err(failed)?);
        for (token, cell) in stack.fill(Format::Jwt, slots).await?.iter().zip(cells) {
            let message = framed(&workload::question(token, ConsistencyArg::Minimize));
            *cell.lock().unwrap_or_else(PoisonError::into_inner) = message;
        }
        superseded += count;
    }
    Ok(superseded)
}

impl Soak {
    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    fn of(tokens: u64, entries: u64, superseded: u64, seconds: f64, sample: Sample) -> Self {
        let trend = Trend::of(&sample.timeline);
        Self {
            tokens,
            entries,
            superseded,
            superseded_per_second: superseded as f64 / seconds.max(f64::EPSILON),
            verdict: Trend::verdict(trend),
            trend,
            sample,
        }
    }

    pub(super) fn text(&self) -> String {
        let Sample {
            per_second,
            seconds,
            errors,
            ..
        } = &self.sample;
        let mut text = format!(
            "{per_second:.0} calls/s over {seconds:.0} s, {errors} errors; {} tokens superseded ({:.0}/s)\n",
            self.superseded, self.superseded_per_second,
        );
        if let Some(trend) = self.trend {
            let _ = writeln!(
                text,
                "resident memory of the validator after {:.0} s: {:.1} MiB, {:+.1} KiB/min, {:+.2} % by the end",
                trend.from_seconds,
                trend.mean_bytes / f64::from(1 << 20),
                trend.bytes_per_second * 60.0 / 1024.0,
                trend.rise * 100.0,
            );
        }
        text + match self.verdict {
            Verdict::Flat => "verdict: flat",
            Verdict::Growing => "verdict: GROWING",
            Verdict::TooShort => "verdict: too short to tell, or the memory of the validator is not known",
        }
    }
}

impl Trend {
    /// By least squares.
    #[expect(clippy::cast_precision_loss, reason = "a machine's memory is far below 2^52")]
    fn of(timeline: &[Tick]) -> Option<Self> {
        let settled = timeline.last()?.seconds * SETTLING;
        let points: Vec<(f64, f64)> = timeline
            .iter()
            .filter(|tick| tick.seconds >= settled)
            .filter_map(|tick| Some((tick.seconds, tick.resident_bytes? as f64)))
            .collect();
        if points.len() < FEWEST_TICKS {
            return None;
        }
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (middle, mean_bytes) = (mean(|point| point.0), mean(|point| point.1));
        let together: f64 = points.iter().map(|(x, y)| (x - middle) * (y - mean_bytes)).sum();
        let alone: f64 = points.iter().map(|(x, _)| (x - middle).powi(2)).sum();
        let bytes_per_second = together / alone.max(f64::EPSILON);
        let (first, last) = (points.first()?.0, points.last()?.0);
        Some(Self {
            from_seconds: first,
            mean_bytes,
            bytes_per_second,
            rise: bytes_per_second * (last - first) / mean_bytes.max(1.0),
        })
    }

    fn verdict(trend: Option<Self>) -> Verdict {
        match trend {
            None => Verdict::TooShort,
            Some(trend) if trend.rise <= FLAT => Verdict::Flat,
            Some(_) => Verdict::Growing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(resident: impl Fn(u32) -> u64) -> Vec<Tick> {
        let tick = |number: u32| Tick {
            seconds: f64::from(number) * 5.0,
            per_second: 1.0,
            resident_bytes: Some(resident(number)),
            redis_resident_bytes: None,
        };
        (1..=120).map(tick).collect()
    }

    #[test]
    fn what_fills_up_at_the_beginning_is_no_growth() {
        let trend = Trend::of(&timeline(|number| 100_000_000 * u64::from(number.min(20)))).unwrap();
        assert!(trend.bytes_per_second.abs() < 1.0, "{trend:?}");
        assert_eq!(Trend::verdict(Some(trend)), Verdict::Flat);
    }

    #[test]
    fn what_grows_all_the_time_is() {
        let trend = Trend::of(&timeline(|number| 100_000_000 + 50_000 * u64::from(number))).unwrap();
        assert!((trend.bytes_per_second - 10_000.0).abs() < 1.0, "{trend:?}");
        assert_eq!(Trend::verdict(Some(trend)), Verdict::Growing);
    }

    #[test]
    fn a_few_looks_say_nothing() {
        let short = timeline(|_| 1).into_iter().take(8).collect::<Vec<_>>();
        assert_eq!(Trend::verdict(Trend::of(&short)), Verdict::TooShort);
    }
}
