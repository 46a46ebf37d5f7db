//! What was measured.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is told apart, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;
/// Percentiles that are kept for plots.
const CURVE: [f64; 13] = [
    0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0,
];

/// Latencies, with three digits.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> Self {
        // Three digits up to a minute: the bounds are right, so there is no error.
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3);
        Self(histogram.unwrap_or_else(|_| unreachable!("the bounds of the histogram are right")))
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanoseconds);
    }

    pub(super) fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// For people and files, in microseconds.
    pub(super) fn summary(&self) -> LatencySummary {
        let at = |percentile: f64| microseconds(self.0.value_at_percentile(percentile));
        LatencySummary {
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: microseconds(self.0.max()),
            mean: self.0.mean() / 1_000.0,
            curve: CURVE.iter().map(|percentile| (*percentile, at(*percentile))).collect(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a minute in nanoseconds is exact")]
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

/// Latencies in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LatencySummary {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
    pub(super) mean: f64,
    /// Percentile and latency.
    pub(super) curve: Vec<(f64, f64)>,
}

/// One measurement of one server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    /// Questions that were answered as they should be.
    pub(super) calls: u64,
    /// Of them, tokens that were superseded while the question was on its way.
    pub(super) superseded: u64,
    pub(super) errors: u64,
    /// The first of them.
    pub(super) error: Option<String>,
    pub(super) seconds: f64,
    /// Calls answered well, for each second.
    pub(super) per_second: f64,
    /// Mean size of a message as it was sent, in bytes.
    pub(super) sent_bytes_per_call: f64,
    /// Mean size of an answer, in bytes.
    pub(super) received_bytes_per_call: f64,
    /// Processor time of the server, in seconds.
    pub(super) server_cpu_seconds: Option<f64>,
    /// Processor time of Redis, in seconds.
    pub(super) redis_cpu_seconds: Option<f64>,
    /// Calls answered well, for each second of the server's processor time: what other work on the machine disturbs least.
    pub(super) per_server_cpu_second: Option<f64>,
    pub(super) latency_us: LatencySummary,
    /// What was seen on the way, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) timeline: Vec<Tick>,
}

/// A look at the processes while a load goes on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Tick {
    /// Since answers began to count.
    pub(super) seconds: f64,
    /// Calls answered since the look before, for each second.
    pub(super) per_second: f64,
    /// Resident memory of the server.
    pub(super) resident_bytes: Option<u64>,
    /// Resident memory of Redis.
    pub(super) redis_resident_bytes: Option<u64>,
}

/// The middle one; of an even number, the mean of both in the middle.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => values.get(middle).copied(),
        _ => Some(f64::midpoint(*values.get(middle - 1)?, *values.get(middle)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn latencies_are_told_in_microseconds() {
        let mut latencies = Latencies::new();
        for microseconds in 1..=100 {
            latencies.record(Duration::from_micros(microseconds));
        }
        let summary = latencies.summary();
        assert!((summary.p50 - 50.0).abs() < 0.1, "{}", summary.p50);
        assert!((summary.max - 100.0).abs() < 0.2, "{}", summary.max);
    }
}
