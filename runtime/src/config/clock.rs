//! The settings of the clock.

use super::Violations;
use clap::Args;
use std::time::Duration;

const MAX_SKEW_MS: u64 = 600_000;

/// Arguments of a process that goes by its clock.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clock")]
pub struct ClockArgs {
    /// Milliseconds that this clock may be off the index's, 10 to 600,000; beyond it the process is not ready, and neither issues nor
    /// judges
    #[arg(
        long,
        env = "TOKENBIND_MAX_CLOCK_SKEW_MS",
        value_name = "MILLISECONDS",
        default_value = "5000"
    )]
    pub max_clock_skew_ms: String,

    /// Milliseconds of it that are told in the log, at most the same
    #[arg(
        long,
        env = "TOKENBIND_WARN_CLOCK_SKEW_MS",
        value_name = "MILLISECONDS",
        default_value = "1000"
    )]
    pub warn_clock_skew_ms: String,
}

/// How far the clock may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockConfig {
    /// Beyond this it is told.
    pub warn: Duration,
    /// Beyond this the clock is not trusted.
    pub max: Duration,
}

impl ClockArgs {
    /// Checks every argument. `None` means that violations were recorded.
    pub fn check(self, violations: &mut Violations) -> Option<ClockConfig> {
        let max = violations.parse_in("--max-clock-skew-ms", &self.max_clock_skew_ms, 10..=MAX_SKEW_MS);
        let warn = violations.parse_in("--warn-clock-skew-ms", &self.warn_clock_skew_ms, 1..=MAX_SKEW_MS);
        Some(ClockConfig {
            warn: Duration::from_millis(warn?),
            max: Duration::from_millis(max?),
        })
    }
}
