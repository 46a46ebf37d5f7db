//! How much memory a token takes, in Redis and in a validator.

use serde::Serialize;

use super::args::{BenchArgs, ConsistencyArg, MemoryArgs};
use super::machine::resident_bytes;
use super::measure::touch;
use super::stack::Stack;
use super::{failed, workload};
use crate::error::CliError;

/// Bytes for each token.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    tokens: u64,
    /// `used_memory` with all tokens less that without any, with every key that belongs to them.
    redis_bytes: u64,
    redis_bytes_per_token: f64,
    /// How many tokens the validator keeps.
    kept: u64,
    /// Its resident memory with them less that with none.
    validator_bytes: u64,
    validator_bytes_per_token: f64,
}

/// Fills Redis, then the validator.
pub(super) async fn run(arguments: &BenchArgs, settings: &MemoryArgs) -> Result<Memory, CliError> {
    let mut stack = Stack::new(&arguments.target, &arguments.machine, settings.tokens.format).await?;
    let redis = |stack: &Stack| {
        let redis = stack.redis();
        let redis = redis.ok_or_else(|| CliError::usage("the memory of a given issuer's Redis is not known"))?;
        redis.used_memory()
    };
    // One token first, so that what is made once is there already.
    stack.fill(settings.tokens.format, 0..1).await?;
    let before = redis(&stack)?;
    let filled = stack.fill(settings.tokens.format, 0..settings.tokens.tokens).await?;
    let redis_bytes = redis(&stack)?.saturating_sub(before);

    let kept = usize::try_from(settings.kept.unwrap_or(settings.tokens.tokens)).map_err(failed)?;
    let kept = filled.get(..kept.min(filled.len())).unwrap_or_default();
    let kept_count = u64::try_from(kept.len()).map_err(failed)?;
    let ours = stack.validator(0, kept_count)?;
    let process = ours
        .process
        .ok_or_else(|| failed("the validator is no process of ours"))?;
    let resident = || resident_bytes(process).ok_or_else(|| failed("the system does not tell a process's memory"));
    // So that connections and buffers are there already.
    let few = kept.get(..kept.len().min(1_000)).unwrap_or_default();
    let touch = |tokens| {
        let workload = workload::validate(tokens, ConsistencyArg::Minimize, false, &stack.credentials);
        tokio::task::block_in_place(|| touch(ours, &arguments.load, &arguments.machine, &workload))
    };
    touch(few)?;
    let before = resident()?;
    touch(kept)?;
    let validator_bytes = resident()?.saturating_sub(before);
    Ok(Memory {
        tokens: settings.tokens.tokens,
        kept: kept_count,
        redis_bytes,
        redis_bytes_per_token: per_token(redis_bytes, settings.tokens.tokens),
        validator_bytes,
        validator_bytes_per_token: per_token(validator_bytes, kept_count),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a machine's memory is far below 2^52")]
fn per_token(bytes: u64, tokens: u64) -> f64 {
    bytes as f64 / tokens.max(1) as f64
}

impl Memory {
    pub(super) fn text(&self) -> String {
        format!(
            "Redis: {:.0} bytes for each live token ({} in all)\nvalidator: {:.0} bytes for each token that it keeps ({} in all)",
            self.redis_bytes_per_token, self.redis_bytes, self.validator_bytes_per_token, self.validator_bytes
        )
    }
}
