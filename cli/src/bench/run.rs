//! Runs a workload from the start of the services to the report.

use std::path::Path;

use super::args::{
    BatchArgs, BenchArgs, ConsistencyArg, Format, SlotsArgs, StreamArgs, TokensArgs, ValidateArgs, WorkloadArgs,
};
use super::machine::Machine;
use super::measure::{Comparison, bare_of, probe, touch};
use super::report::{Figures, Report};
use super::stack::{Server, Stack};
use super::workload::{self, Workload};
use super::{failed, memory, plots, revoke_deny, soak};
use crate::error::{CliError, Exit};
use crate::output::Output;

/// Runs a workload.
pub(crate) async fn run(arguments: BenchArgs, output: Output) -> Result<Exit, CliError> {
    let machine = Machine::of_this_process();
    let (name, figures) = match &arguments.workload {
        WorkloadArgs::Validate(validate) => (name(validate), run_validate(&arguments, validate).await?),
        WorkloadArgs::Batch(batch) => ("batch", run_batch(&arguments, batch).await?),
        WorkloadArgs::Stream(stream) => ("stream", run_stream(&arguments, stream).await?),
        WorkloadArgs::Introspect(tokens) => ("introspect", run_introspect(&arguments, tokens).await?),
        WorkloadArgs::Issue(tokens) => ("issue", run_issue(&arguments, tokens).await?),
        WorkloadArgs::Reuse(slots) => ("reuse", run_reuse(&arguments, slots).await?),
        WorkloadArgs::Baseline(tokens) => ("baseline", run_baseline(&arguments, tokens).await?),
        WorkloadArgs::RevokeDeny(settings) => (
            "revoke-deny",
            Figures::RevokeDeny(Box::new(revoke_deny::run(&arguments, settings).await?)),
        ),
        WorkloadArgs::Soak(settings) => ("soak", Figures::Soak(Box::new(soak::run(&arguments, settings).await?))),
        WorkloadArgs::Memory(tokens) => ("memory", Figures::Memory(memory::run(&arguments, tokens).await?)),
    };
    let report = Report::new(name, machine, &arguments, figures);
    if let Some(path) = &arguments.report {
        write(path, &report)?;
    }
    if let Some(folder) = &arguments.plots {
        plots::draw(folder, &report)?;
    }
    output.print(&report, || report.text())?;
    Ok(Exit::Fine)
}

fn name(validate: &ValidateArgs) -> &'static str {
    match (validate.cold, validate.consistency) {
        (true, _) => "validate-cold",
        (false, ConsistencyArg::Minimize) => "validate",
        (false, ConsistencyArg::Fully) => "validate-fully-consistent",
    }
}

fn write(path: &Path, report: &Report) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(report).map_err(failed)?;
    std::fs::write(path, text + "\n").map_err(|error| CliError::usage(format!("--report: {}: {error}", path.display())))
}

async fn prepare(arguments: &BenchArgs, format: Format) -> Result<Stack, CliError> {
    Stack::new(&arguments.target, &arguments.machine, format).await
}

/// Compares a server of ours with the bare service under the same load. Where the answers are those of what is kept, each
/// message is sent once before: so the bare service answers what ours will, byte for byte.
async fn compare(
    arguments: &BenchArgs,
    stack: &mut Stack,
    name: &'static str,
    ours: Server,
    workload: &Workload,
    kept: Kept,
) -> Result<Comparison, CliError> {
    // What comes back is looked at as a whole, also where there is nothing to compare with.
    probe(ours, workload).await?;
    if kept == Kept::All {
        tokio::task::block_in_place(|| touch(ours, &arguments.load, &arguments.machine, workload))?;
    }
    let bare = if arguments.load.no_baseline {
        None
    } else {
        Some(bare_of(stack, ours, workload).await?)
    };
    let redis = stack.redis().and_then(super::redis_server::Redis::process_id);
    Ok(Comparison {
        name,
        ours,
        bare,
        redis,
    })
}

/// What the server keeps when a measurement begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Everything that it will be asked for.
    All,
    /// Nothing, or it keeps nothing.
    Nothing,
}

fn measured(
    arguments: &BenchArgs,
    comparison: &Comparison,
    work: impl FnMut() -> Workload,
) -> Result<Figures, CliError> {
    tokio::task::block_in_place(|| comparison.run(&arguments.load, &arguments.machine, work)).map(Figures::Load)
}

/// Room for all of them.
fn entries(tokens: u64) -> u64 {
    tokens.saturating_mul(2).max(1_000_000)
}

async fn run_validate(arguments: &BenchArgs, validate: &ValidateArgs) -> Result<Figures, CliError> {
    let TokensArgs { format, tokens } = validate.tokens;
    let mut stack = prepare(arguments, format).await?;
    let filled = stack.fill(format, 0..tokens).await?;
    let ours = stack.validator(0, entries(tokens))?;
    let all = workload::validate(&filled, validate.consistency, false, &stack.credentials);
    let kept = if validate.cold || validate.consistency == ConsistencyArg::Fully {
        Kept::Nothing
    } else {
        Kept::All
    };
    let comparison = compare(arguments, &mut stack, "validate", ours, &all, kept).await?;
    if !validate.cold {
        return measured(arguments, &comparison, || all.clone());
    }
    // Each measurement gets its own part, which was not asked for before; the probe took the first.
    let measurements = arguments.load.rounds.max(1) * arguments.load.concurrency.len().max(1);
    let part = (filled.len() - 1) / measurements;
    let mut parts = filled.get(1..).unwrap_or_default().chunks(part.max(1));
    let credentials = stack.credentials.clone();
    measured(arguments, &comparison, || {
        let part = parts.next().unwrap_or_default();
        workload::validate(part, validate.consistency, true, &credentials)
    })
}

async fn run_batch(arguments: &BenchArgs, batch: &BatchArgs) -> Result<Figures, CliError> {
    let TokensArgs { format, tokens } = batch.tokens;
    let mut stack = prepare(arguments, format).await?;
    let filled = stack.fill(format, 0..tokens).await?;
    let ours = stack.validator(0, entries(tokens))?;
    let workload = workload::batch(&filled, batch.size, &stack.credentials);
    let comparison = compare(arguments, &mut stack, "batch", ours, &workload, Kept::All).await?;
    measured(arguments, &comparison, || workload.clone())
}

async fn run_stream(arguments: &BenchArgs, stream: &StreamArgs) -> Result<Figures, CliError> {
    let TokensArgs { format, tokens } = stream.tokens;
    let mut stack = prepare(arguments, format).await?;
    let filled = stack.fill(format, 0..tokens).await?;
    let ours = stack.validator(0, entries(tokens))?;
    let workload = workload::stream(&filled, usize::from(stream.streams), &stack.credentials);
    let comparison = compare(arguments, &mut stack, "stream", ours, &workload, Kept::All).await?;
    measured(arguments, &comparison, || workload.clone())
}

async fn run_introspect(arguments: &BenchArgs, tokens: &TokensArgs) -> Result<Figures, CliError> {
    let mut stack = prepare(arguments, tokens.format).await?;
    let filled = stack.fill(tokens.format, 0..tokens.tokens).await?;
    let ours = stack.validator(0, entries(tokens.tokens))?;
    let workload = workload::introspect(&filled, &stack.credentials);
    let comparison = compare(arguments, &mut stack, "introspect", ours, &workload, Kept::All).await?;
    measured(arguments, &comparison, || workload.clone())
}

async fn run_issue(arguments: &BenchArgs, tokens: &TokensArgs) -> Result<Figures, CliError> {
    let mut stack = prepare(arguments, tokens.format).await?;
    let ours = stack.issuer()?;
    let workload = workload::issue(tokens.format, tokens.tokens, &stack.credentials);
    let comparison = compare(arguments, &mut stack, "issue", ours, &workload, Kept::Nothing).await?;
    measured_with_redis(arguments, &stack, &comparison, &workload)
}

async fn run_reuse(arguments: &BenchArgs, slots: &SlotsArgs) -> Result<Figures, CliError> {
    let mut stack = prepare(arguments, Format::Opaque).await?;
    let ours = stack.issuer()?;
    super::fill::from_issuer(ours.address, 0..slots.tokens, &stack.credentials).await?;
    let workload = workload::reuse(slots.tokens, &stack.credentials);
    let comparison = compare(arguments, &mut stack, "reuse", ours, &workload, Kept::Nothing).await?;
    measured_with_redis(arguments, &stack, &comparison, &workload)
}

/// With what Redis says of its own time.
fn measured_with_redis(
    arguments: &BenchArgs,
    stack: &Stack,
    comparison: &Comparison,
    workload: &Workload,
) -> Result<Figures, CliError> {
    if let Some(redis) = stack.redis() {
        redis.reset_stats()?;
    }
    let figures = measured(arguments, comparison, || workload.clone())?;
    let commands = match stack.redis() {
        Some(redis) => redis.info("commandstats")?,
        None => Vec::new(),
    };
    match figures {
        Figures::Load(measured) => Ok(Figures::Issuing { measured, commands }),
        other => Ok(other),
    }
}

async fn run_baseline(arguments: &BenchArgs, tokens: &TokensArgs) -> Result<Figures, CliError> {
    let mut stack = prepare(arguments, tokens.format).await?;
    let filled = stack.fill(tokens.format, 0..tokens.tokens).await?;
    let ours = stack.validator(0, entries(tokens.tokens))?;
    let workload = workload::validate(&filled, ConsistencyArg::Minimize, false, &stack.credentials);
    let bare = bare_of(&mut stack, ours, &workload).await?;
    let comparison = Comparison {
        name: "bare service",
        ours: bare,
        bare: None,
        redis: None,
    };
    measured(arguments, &comparison, || workload.clone())
}
