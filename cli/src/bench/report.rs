//! What a run found, for people and for files.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{BenchArgs, Flavour, WorkloadArgs};
use super::machine::Machine;
use super::measure::{Measured, Medians};
use super::memory::Memory;
use super::revoke_deny::RevokeDeny;
use super::soak::Soak;
use crate::output;

/// What a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) workload: &'static str,
    /// What was asked for, without secrets.
    settings: String,
    runtime: Flavour,
    machine: Machine,
    pub(super) figures: Figures,
}

/// By kind of workload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figures {
    /// A load on one server.
    Load(Vec<Measured>),
    /// The same on an issuer, with `INFO commandstats` of Redis over all measurements.
    Issuing {
        measured: Vec<Measured>,
        commands: Vec<(String, String)>,
    },
    /// From a revocation to the denials.
    RevokeDeny(Box<RevokeDeny>),
    /// Throughput and memory over time.
    Soak(Box<Soak>),
    /// Bytes for each token.
    Memory(Memory),
}

impl Report {
    pub(super) fn new(workload: &'static str, machine: Machine, arguments: &BenchArgs, figures: Figures) -> Self {
        Self {
            workload,
            settings: settings(&arguments.workload),
            runtime: arguments.machine.runtime,
            machine,
            figures,
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{} {}\n", self.workload, self.settings);
        match &self.figures {
            Figures::Load(measured) => text += &loads(measured),
            Figures::Issuing { measured, commands } => {
                text += &loads(measured);
                for (name, value) in commands {
                    let _ = write!(text, "\n{name}: {value}");
                }
            }
            Figures::RevokeDeny(found) => text += &found.text(),
            Figures::Soak(found) => text += &found.text(),
            Figures::Memory(found) => text += &found.text(),
        }
        text
    }

    /// The measurements of a load.
    pub(super) fn measured(&self) -> Option<&[Measured]> {
        match &self.figures {
            Figures::Load(measured) | Figures::Issuing { measured, .. } => Some(measured),
            Figures::RevokeDeny(_) | Figures::Soak(_) | Figures::Memory(_) => None,
        }
    }
}

fn settings(workload: &WorkloadArgs) -> String {
    match workload {
        WorkloadArgs::Validate(of) => format!(
            "{:?}, {} tokens, {:?}",
            of.tokens.format, of.tokens.tokens, of.consistency
        ),
        WorkloadArgs::Batch(of) => format!(
            "{:?}, {} tokens, {} a call",
            of.tokens.format, of.tokens.tokens, of.size
        ),
        WorkloadArgs::Stream(of) => format!(
            "{:?}, {} tokens, {} streams",
            of.tokens.format, of.tokens.tokens, of.streams
        ),
        WorkloadArgs::Introspect(of) | WorkloadArgs::Issue(of) | WorkloadArgs::Baseline(of) => {
            format!("{:?}, {} tokens", of.format, of.tokens)
        }
        WorkloadArgs::Memory(of) => format!("{:?}, {} tokens", of.tokens.format, of.tokens.tokens),
        WorkloadArgs::Soak(of) => format!("jwt, {} tokens, {} superseded each second", of.tokens, of.replace),
        WorkloadArgs::Reuse(of) => format!("opaque, {} tokens", of.tokens),
        WorkloadArgs::RevokeDeny(of) => format!(
            "{:?}, {} validators, {} revocations",
            of.format, of.validators, of.revocations
        ),
    }
    .to_lowercase()
}

fn loads(measured: &[Measured]) -> String {
    let header = [
        "IN FLIGHT",
        "CALLS/S",
        "TOKENS/S",
        "BARE/S",
        "RATIO",
        "CALLS/CPU-S",
        "BARE/CPU-S",
        "CPU RATIO",
        "SERVER",
        "REDIS",
        "P50",
        "P99",
        "P99.9",
        "ERRORS",
    ];
    output::table(header, measured.iter().map(row))
}

fn row(measured: &Measured) -> [String; 14] {
    let Medians {
        per_second,
        bare_per_second,
        ratio,
        per_server_cpu_second,
        bare_per_server_cpu_second,
        cpu_ratio,
        server_cpu,
        redis_cpu,
        p50_us,
        p99_us,
        p999_us,
    } = &measured.median;
    let whole = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.0}"));
    let fraction = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
    let share = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{:.0} %", value * 100.0));
    let latency = |value: f64| format!("{value:.0} µs");
    let errors: u64 = measured.rounds.iter().map(|round| round.ours.errors).sum();
    [
        measured.concurrency.to_string(),
        whole(Some(*per_second)),
        whole(Some(per_second * f64::from(measured.tokens_per_call))),
        whole(*bare_per_second),
        fraction(*ratio),
        whole(*per_server_cpu_second),
        whole(*bare_per_server_cpu_second),
        fraction(*cpu_ratio),
        share(*server_cpu),
        share(*redis_cpu),
        latency(*p50_us),
        latency(*p99_us),
        latency(*p999_us),
        errors.to_string(),
    ]
}
