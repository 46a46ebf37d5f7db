//! The counters of failed attempts in Redis.

use async_trait::async_trait;
use redis::Script;

use super::{RedisIndex, corrupt};
use crate::attempts::{AttemptCounter, AttemptCounters, AttemptKey, MOST_BEYOND, Wait};
use crate::error::IndexError;

/// How long counters hold up.
///
/// - `KEYS`: the counters.
/// - Answers the milliseconds of each.
const WAITS: &str = r"#!lua flags=no-writes
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
for i, key in ipairs(KEYS) do
  answer[i] = math.max(0, tonumber(redis.call('HGET', key, 'u') or 0) - now)
end
return answer
";

/// Counts a failure on each counter that does not hold up. `allow-oom`: guessing must not become free when the store is full,
/// and there is a fixed number of counters.
///
/// - `KEYS`: the counters, each a hash: `f` when every failure is forgiven, `u` until when it holds up, both in ms since 1970.
/// - `ARGV`: 1 how far beyond the free ones failures weigh; then of each counter: how many are free, for how many ms one
///   weighs, the first delay in ms, the longest.
/// - Answers of each counter the milliseconds that it held up before, and those from now on.
const COUNT: &str = r"#!lua flags=allow-oom
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end
local answer = {}
for i, key in ipairs(KEYS) do
  local forgive, first, most = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
  local free = tonumber(ARGV[4 * i - 2]) * forgive
  local kept = redis.call('HMGET', key, 'f', 'u')
  local forgiven, upto = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
  local before = math.max(0, upto - now)
  if before == 0 then
    local weight = math.min(math.max(0, forgiven - now) + forgive, free + ARGV[1] * forgive)
    if weight > free then
      upto = now + math.min(most, first * 2 ^ math.floor((weight - free - 1) / forgive))
    end
    redis.call('HSET', key, 'f', text(now + weight), 'u', text(upto))
    redis.call('PEXPIRE', key, text(math.max(weight, upto - now)))
  end
  answer[2 * i - 1] = before
  answer[2 * i] = math.max(0, upto - now)
end
return answer
";

/// The scripts, hashed once.
#[derive(Debug)]
pub(super) struct AttemptScripts {
    waits: Script,
    count: Script,
}

impl AttemptScripts {
    pub(super) fn new() -> Self {
        Self {
            waits: Script::new(WAITS),
            count: Script::new(COUNT),
        }
    }

    pub(super) fn all(&self) -> [&Script; 2] {
        [&self.waits, &self.count]
    }
}

#[async_trait]
impl AttemptCounters for RedisIndex {
    async fn waits(&self, keys: &[AttemptKey]) -> Result<Vec<u64>, IndexError> {
        let Some(first) = keys.first() else {
            return Ok(Vec::new());
        };
        let mut call = self.attempts.waits.prepare_invoke();
        for key in keys {
            call.key(self.keys.attempts(*key));
        }
        let first = self.keys.attempts(*first);
        let waits: Vec<u64> = self.on_keys(&first, &call).await?;
        if waits.len() == keys.len() {
            return Ok(waits);
        }
        Err(corrupt("a script answered another number of counters"))
    }

    async fn count_failure(&self, counters: &[AttemptCounter]) -> Result<Vec<Wait>, IndexError> {
        let Some(first) = counters.first() else {
            return Ok(Vec::new());
        };
        let mut call = self.attempts.count.prepare_invoke();
        call.arg(MOST_BEYOND);
        for AttemptCounter { key, limit } in counters {
            call.key(self.keys.attempts(*key));
            call.arg(&[limit.free, limit.forgive_ms, limit.first_ms, limit.most_ms]);
        }
        let first = self.keys.attempts(first.key);
        let waits: Vec<u64> = self.on_keys(&first, &call).await?;
        if waits.len() != 2 * counters.len() {
            return Err(corrupt("a script answered another number of counters"));
        }
        let pairs = waits.chunks_exact(2);
        Ok(pairs
            .map(|pair| Wait {
                before_ms: pair[0],
                after_ms: pair[1],
            })
            .collect())
    }
}
