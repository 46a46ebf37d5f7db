//! Refusing a Redis that cannot keep the index's promises.

use redis::aio::ConnectionLike;
use redis::{RedisError, RedisResult, Script};

use super::deployment::Shape;
use super::options::{Access, ConnectError};
use super::{connect_error, is_refusal};

/// The parts of `INFO` that are looked at.
const SECTIONS: [&str; 5] = ["server", "memory", "persistence", "replication", "cluster"];

/// Tries every command that the scripts use, on keys that do not exist, in ways that change nothing.
///
/// - `KEYS`: 1 a key that nothing uses.
/// - Answers the first refusal, or nothing.
const PROBE: &str = r"#!lua
local key = KEYS[1]
local commands = {
  {'GET', key}, {'GETRANGE', key, 0, 1}, {'PTTL', key}, {'SET', key, '', 'XX'}, {'DEL', key}, {'PEXPIRE', key, 1},
  {'PERSIST', key}, {'ZADD', key, 'XX', 0, ''}, {'ZREM', key, ''}, {'ZRANGE', key, 0, 0}, {'ZRANGEBYSCORE', key, 0, 0},
  {'ZRANGEBYLEX', key, '-', '+'},
  {'ZREMRANGEBYSCORE', key, 0, 0}, {'ZSCAN', key, 0}, {'HGET', key, 'f'}, {'HMGET', key, 'f'}, {'HEXISTS', key, 'f'}, {'HDEL', key, 'f'},
  {'TIME'},
}
for _, command in ipairs(commands) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then return command[1] .. ': ' .. answer.err end
end
-- It has no way to do nothing but to be asked wrongly, which is found out last.
local answer = redis.pcall('HSET', key, 'f', 'v', 'x')
if not string.find(answer.err, 'wrong number', 1, true) then return 'HSET: ' .. answer.err end
return false
";

/// What a Redis says of itself.
pub(super) struct State(String);

/// The value of a line of `INFO`; empty where there is none.
pub(super) fn field<'a>(info: &'a str, name: &str) -> &'a str {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim()
}

impl State {
    pub(super) async fn ask(connection: &mut impl ConnectionLike) -> RedisResult<Self> {
        redis::cmd("INFO")
            .arg(&SECTIONS)
            .query_async(connection)
            .await
            .map(Self)
    }

    fn field(&self, name: &str) -> &str {
        field(&self.0, name)
    }

    /// Whether an index can be kept there.
    pub(super) fn judge(&self, node: &str, shape: &Shape) -> Result<(), ConnectError> {
        let version = self.field("redis_version");
        let major: u32 = version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok())
            .unwrap_or(0);
        if major < 7 {
            return Err(ConnectError::TooOld(version.to_owned()));
        }
        if !matches!(self.field("maxmemory_policy"), "noeviction" | "") {
            return Err(ConnectError::Evicts(self.field("maxmemory_policy").to_owned()));
        }
        if self.field("cluster_enabled") == "1" && *shape != Shape::Cluster {
            return Err(ConnectError::Unfit(format!(
                "{node} is a node of a cluster; write redis+cluster://"
            )));
        }
        if self.field("role") == "slave" {
            // Of a deployment that fails over, it was the primary a moment ago.
            return Err(match shape {
                Shape::Standalone => ConnectError::Replica(node.to_owned()),
                _ => ConnectError::Unreachable(format!("{node} has become a replica")),
            });
        }
        Ok(())
    }

    /// Whether what is written outlives a restart in every case; snapshots lose the last minutes.
    pub(super) fn is_durable(&self) -> bool {
        self.field("aof_enabled") == "1"
    }
}

/// Whether the user may do what is done; `key` is one that nothing uses.
pub(super) async fn permissions(
    connection: &mut impl ConnectionLike,
    key: &[u8],
    access: Access,
) -> Result<(), ConnectError> {
    match access {
        Access::ReadWrite => {
            let refusal: RedisResult<Option<String>> = Script::new(PROBE).key(key).invoke_async(connection).await;
            match refusal {
                Ok(None) => Ok(()),
                Ok(Some(refusal)) => Err(ConnectError::Refused(refusal)),
                // Only that nothing can be written for now (it is full, it has too few replicas): not what is asked here.
                Err(error) if is_busy(&error) => Ok(()),
                Err(error) => Err(connect_error(&error)),
            }
        }
        Access::ReadOnly => {
            let mut pipeline = redis::pipe();
            pipeline
                .cmd("GET")
                .arg(key)
                .cmd("HMGET")
                .arg(key)
                .arg("f")
                .cmd("EXISTS")
                .arg(key);
            pipeline
                .cmd("CLIENT")
                .arg(&["TRACKING", "ON"])
                .cmd("CLIENT")
                .arg(&["TRACKING", "OFF"]);
            let asked: RedisResult<()> = pipeline.exec_async(connection).await;
            asked.map_err(|error| connect_error(&error))
        }
    }
}

fn is_busy(error: &RedisError) -> bool {
    !is_refusal(error)
        && matches!(
            error.code(),
            Some("OOM" | "NOREPLICAS" | "MISCONF" | "BUSY" | "CLUSTERDOWN")
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(lines: &str, shape: &Shape) -> Result<(), ConnectError> {
        State(lines.replace(' ', "\r\n")).judge("redis:1", shape)
    }

    #[test]
    fn an_old_or_evicting_redis_or_a_replica_is_refused() {
        let one = &Shape::Standalone;
        assert!(judge("redis_version:7.0.15 maxmemory_policy:noeviction role:master", one).is_ok());
        assert!(matches!(
            judge("redis_version:6.2.1", one),
            Err(ConnectError::TooOld(_))
        ));
        for policy in ["allkeys-lru", "volatile-ttl", "volatile-lru", "allkeys-random"] {
            let judged = judge(&format!("redis_version:7.4.0 maxmemory_policy:{policy}"), one);
            assert!(matches!(judged, Err(ConnectError::Evicts(_))), "{policy}");
        }
        let replica = "redis_version:7.4.0 role:slave cluster_enabled:0";
        assert!(matches!(judge(replica, one), Err(ConnectError::Replica(_))));
        assert!(matches!(
            judge(replica, &Shape::Cluster),
            Err(ConnectError::Unreachable(_))
        ));
        let node = "redis_version:7.4.0 role:master cluster_enabled:1";
        assert!(matches!(judge(node, one), Err(ConnectError::Unfit(_))));
        assert!(judge(node, &Shape::Cluster).is_ok());
    }
}
