//! What came of the revocations.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::args::RevokeDenyArgs;
use crate::bench::machine::cpu_seconds;
use crate::bench::sample::{Latencies, LatencySummary};
use crate::bench::stack::Server;
use crate::output;

/// The validator's default lease: an allow that begins later after the acknowledgement breaks the promise.
const LEASE: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct RevokeDeny {
    revocations: u64,
    validators: usize,
    /// From the start of the call that revokes to the denial at one validator.
    from_start_us: LatencySummary,
    /// From its start to the denial at the last validator.
    from_start_to_all_us: LatencySummary,
    /// From its acknowledgement to the denial at one validator; nothing for those that came before it.
    from_acknowledgement_us: LatencySummary,
    /// From its acknowledgement to the denial at the last validator.
    from_acknowledgement_to_all_us: LatencySummary,
    /// How long the revoking call took.
    call_us: LatencySummary,
    /// Questions that were asked after the acknowledgement and allowed all the same.
    allowed_after_acknowledgement: u64,
    /// The longest time from the acknowledgement to such a question.
    latest_allowed_us: f64,
    /// Those asked later than the lease.
    allowed_beyond_lease: u64,
    /// How often each validator is asked while a revocation is on its way.
    probes_per_second: f64,
    probes: u64,
    /// How much later than planned they were asked: what the load itself adds.
    probe_delay_us: LatencySummary,
    /// Processor time over the whole run, in parts of one core, with the issuing of the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    busy: Option<Busy>,
}

/// Parts of a core.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Busy {
    issuer: f64,
    /// The busiest of them.
    validator: f64,
    redis: f64,
}

pub(super) struct Found {
    from_start: Latencies,
    from_start_to_all: Latencies,
    from_acknowledgement: Latencies,
    from_acknowledgement_to_all: Latencies,
    pub(super) call: Latencies,
    after: u64,
    latest: Duration,
    beyond: u64,
    probes: u64,
    delay: Latencies,
}

/// How one validator was asked while a token was revoked.
pub(super) struct Probed {
    /// When the first denial was there.
    pub(super) denied: Instant,
    /// When each allowed question was asked.
    pub(super) allowed: Vec<Instant>,
    /// How much later than planned each question was asked.
    pub(super) delays: Vec<Duration>,
}

/// Processor time until now, in seconds.
pub(super) struct Used {
    issuer: f64,
    validators: Vec<f64>,
    redis: f64,
}

impl Used {
    /// `None` where a process is not the benchmark's.
    pub(super) fn by(issuer: Server, validators: &[Server], redis: Option<u32>) -> Option<Self> {
        let of = |server: &Server| server.process.and_then(cpu_seconds);
        Some(Self {
            issuer: of(&issuer)?,
            validators: validators.iter().map(of).collect::<Option<_>>()?,
            redis: redis.and_then(cpu_seconds)?,
        })
    }

    pub(super) fn since(&self, before: &Self, elapsed: Duration) -> Busy {
        let part = |after: f64, before: f64| (after - before) / elapsed.as_secs_f64().max(f64::EPSILON);
        let validators = self.validators.iter().zip(&before.validators);
        Busy {
            issuer: part(self.issuer, before.issuer),
            validator: validators
                .map(|(after, before)| part(*after, *before))
                .fold(0.0, f64::max),
            redis: part(self.redis, before.redis),
        }
    }
}

impl Found {
    pub(super) fn new() -> Self {
        Self {
            from_start: Latencies::new(),
            from_start_to_all: Latencies::new(),
            from_acknowledgement: Latencies::new(),
            from_acknowledgement_to_all: Latencies::new(),
            call: Latencies::new(),
            after: 0,
            latest: Duration::ZERO,
            beyond: 0,
            probes: 0,
            delay: Latencies::new(),
        }
    }

    pub(super) fn add(&mut self, start: Instant, acknowledged: Instant, probed: &[Probed]) {
        self.call.record(acknowledged - start);
        for one in probed {
            self.from_start.record(one.denied - start);
            self.from_acknowledgement
                .record(one.denied.saturating_duration_since(acknowledged));
            let late = one.allowed.iter().map(|at| at.saturating_duration_since(acknowledged));
            for late in late.filter(|late| !late.is_zero()) {
                self.after += 1;
                self.latest = self.latest.max(late);
                self.beyond += u64::from(late > LEASE);
            }
            for delay in &one.delays {
                self.probes += 1;
                self.delay.record(*delay);
            }
        }
        if let Some(last) = probed.iter().map(|one| one.denied).max() {
            self.from_start_to_all.record(last - start);
            self.from_acknowledgement_to_all
                .record(last.saturating_duration_since(acknowledged));
        }
    }

    pub(super) fn summary(self, settings: &RevokeDenyArgs, validators: usize, busy: Option<Busy>) -> RevokeDeny {
        RevokeDeny {
            revocations: settings.revocations,
            validators,
            from_start_us: self.from_start.summary(),
            from_start_to_all_us: self.from_start_to_all.summary(),
            from_acknowledgement_us: self.from_acknowledgement.summary(),
            from_acknowledgement_to_all_us: self.from_acknowledgement_to_all.summary(),
            call_us: self.call.summary(),
            allowed_after_acknowledgement: self.after,
            latest_allowed_us: self.latest.as_secs_f64() * 1e6,
            allowed_beyond_lease: self.beyond,
            probes_per_second: f64::from(settings.probes),
            probes: self.probes,
            probe_delay_us: self.delay.summary(),
            busy,
        }
    }
}

impl RevokeDeny {
    /// The curves for a plot.
    pub(in crate::bench) fn curves(&self) -> [(&'static str, &LatencySummary); 5] {
        [
            ("start to denial", &self.from_start_us),
            ("start to denial at all", &self.from_start_to_all_us),
            ("acknowledgement to denial", &self.from_acknowledgement_us),
            ("acknowledgement to denial at all", &self.from_acknowledgement_to_all_us),
            ("revoking call", &self.call_us),
        ]
    }

    pub(in crate::bench) fn text(&self) -> String {
        let delay = std::iter::once(("a question, later than planned", &self.probe_delay_us));
        let rows = self.curves().into_iter().chain(delay).map(|(name, latency)| {
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
        let table = output::table(["", "P50", "P90", "P99", "P99.9", "MAX"], rows);
        let mut text = format!(
            "{table}\nallowed although asked after the acknowledgement: {} (the last {:.0} µs after it), beyond the lease: {}\n\
             {} questions, to each validator one every {:.0} µs while a revocation is on its way",
            self.allowed_after_acknowledgement,
            self.latest_allowed_us,
            self.allowed_beyond_lease,
            self.probes,
            1e6 / self.probes_per_second,
        );
        if let Some(busy) = self.busy {
            let percent = |part: f64| part * 100.0;
            let _ = write!(
                text,
                "\nbusy, of a core: issuer {:.0} %, the busiest validator {:.0} %, Redis {:.0} %",
                percent(busy.issuer),
                percent(busy.validator),
                percent(busy.redis),
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_after_the_acknowledgement_is_late() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut found = Found::new();
        let probed = [Probed {
            denied: after(3_500),
            allowed: vec![after(1), after(2), after(4), after(2_500)],
            delays: vec![Duration::ZERO; 5],
        }];
        found.add(start, after(2), &probed);
        assert_eq!((found.after, found.beyond, found.probes), (2, 1, 5));
        assert_eq!(found.latest, Duration::from_millis(2_498));
    }
}
