//! R6: what was answered as revoked stays revoked, also when the primary is lost.
//!
//! A primary acknowledges before its replicas have heard, so a failover can bring back what was revoked. `WAIT` tells how many
//! replicas have what the connection that asks wrote, and on another connection it tells nothing. So a revocation has a
//! connection for itself until it was acknowledged; it is never made again in between. A revocation that finds nothing to do
//! writes nothing, though an attempt before it may have been done and not acknowledged: so a mark is written behind each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ProtocolVersion, RedisResult, ScriptInvocation};
use tokio::sync::Semaphore;

use super::route::{Detour, Touches, nobody};
use super::topology::{Node, Topology};
use super::{RedisIndex, RedisOptions, index_error};
use crate::error::IndexError;
use crate::store::{BindingIndex as _, Revision};

/// How many revocations wait for replicas at a time; one more waits for its turn.
const CONNECTIONS: usize = 32;

/// How many replicas have to have a revocation before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// At least so many.
    pub replicas: u32,
    /// How long to wait for them.
    pub within: Duration,
}

pub(super) struct Promises {
    acknowledgement: Acknowledgement,
    turns: Semaphore,
    /// By the number of their node.
    idle: Mutex<HashMap<u32, Vec<MultiplexedConnection>>>,
}

impl Promises {
    /// `None` where the primary's word is enough.
    pub(super) fn new(options: &RedisOptions) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            acknowledgement: options.acknowledgement?,
            turns: Semaphore::new(CONNECTIONS),
            idle: Mutex::default(),
        }))
    }

    /// Does something on a connection of its own, and waits for the replicas of that node. `mark` writes something there.
    async fn keep<T: FromRedisValue>(
        &self,
        topology: &Topology,
        key: &[u8],
        script: Option<&ScriptInvocation<'_>>,
        mark: &ScriptInvocation<'_>,
    ) -> Result<(T, Revision), IndexError> {
        let _turn = self.turns.acquire().await;
        let (node, mut connection, answer) = self.act(topology, key, script).await?;
        // From here on it may be done, so nothing is done again. A connection that failed is not used again: its next answer could
        // be that of this call.
        let waited = self.wait(&mut connection, mark).await;
        let (marked, acknowledged) = waited.map_err(|error| index_error(&error))?;
        self.idle().entry(node.number).or_default().push(connection);
        if acknowledged < self.acknowledgement.replicas {
            let replicas = self.acknowledgement.replicas;
            let text = format!(
                "{acknowledged} of {replicas} replicas have acknowledged a change in time: bring back those that are missing, \
                 or ask for fewer (--redis-min-replicas)"
            );
            return Err(IndexError::Unavailable(text));
        }
        Ok((answer, marked))
    }

    async fn act<T: FromRedisValue>(
        &self,
        topology: &Topology,
        key: &[u8],
        script: Option<&ScriptInvocation<'_>>,
    ) -> Result<(Arc<Node>, MultiplexedConnection, T), IndexError> {
        let mut detour = Detour::default();
        loop {
            let node = detour.node(topology, key);
            let connected = match &node {
                Some(node) => self.connection(topology, node).await,
                None => Err(nobody()),
            };
            let error = match (node, connected) {
                (Some(node), Ok(mut connection)) => match invoke(script, &mut connection).await {
                    Ok(answer) => return Ok((node, connection, answer)),
                    Err(error) => {
                        let further = detour.after(topology, Touches::Keys, Some(&node), &error).await;
                        further.err().map(|()| error)
                    }
                },
                (Some(node), Err(error)) => detour.not_sent(topology, &node).await.err().map(|()| error),
                (None, connected) => {
                    let error = connected.err().unwrap_or_else(nobody);
                    let further = detour.after(topology, Touches::Keys, None, &error).await;
                    further.err().map(|()| error)
                }
            };
            if let Some(error) = error {
                return Err(index_error(&error));
            }
        }
    }

    async fn wait(
        &self,
        connection: &mut MultiplexedConnection,
        mark: &ScriptInvocation<'_>,
    ) -> RedisResult<(Revision, u32)> {
        let marked = mark.invoke_async(connection).await?;
        let Acknowledgement { replicas, within } = self.acknowledgement;
        let acknowledged = redis::cmd("WAIT")
            .arg(replicas)
            .arg(u64::try_from(within.as_millis()).unwrap_or(u64::MAX))
            .query_async(connection)
            .await?;
        Ok((marked, acknowledged))
    }

    async fn connection(&self, topology: &Topology, node: &Node) -> RedisResult<MultiplexedConnection> {
        if let Some(connection) = self.idle().get_mut(&node.number).and_then(Vec::pop) {
            return Ok(connection);
        }
        let map = topology.map();
        self.idle()
            .retain(|number, _| map.nodes().iter().any(|node| node.number == *number));
        let connector = topology.connector();
        let timeout = connector.response_timeout + self.acknowledgement.within;
        let config = connector.config().set_response_timeout(Some(timeout));
        let client = connector.client(&node.address, ProtocolVersion::RESP2)?;
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Vec<MultiplexedConnection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn invoke<T: FromRedisValue>(
    script: Option<&ScriptInvocation<'_>>,
    connection: &mut MultiplexedConnection,
) -> RedisResult<T> {
    match script {
        Some(script) => script.invoke_async(connection).await,
        None => Ok(redis::from_redis_value(redis::Value::Nil)?),
    }
}

impl RedisIndex {
    /// Runs a script that revokes, and answers when enough replicas have what it did. After an error it may be done or not.
    /// `mark` is a key of the same node.
    pub(super) async fn promise<T: FromRedisValue>(
        &self,
        mark: Vec<u8>,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, IndexError> {
        let Some(promises) = &self.promises else {
            return self.on_keys(&mark, script).await;
        };
        // Also where it has a connection of its own: nothing is asked of a Redis that was not found fit.
        self.fit()?;
        let write_mark = self.scripts.mark.key(&mark);
        let kept = promises.keep(&self.topology, &mark, Some(script), &write_mark).await;
        kept.map(|(answer, _)| answer)
    }

    /// Waits until the replicas have whatever the node of a key has done so far.
    pub(super) async fn settled(&self, mark: Vec<u8>) -> Result<Revision, IndexError> {
        let Some(promises) = &self.promises else {
            return self.ping().await;
        };
        self.fit()?;
        let write_mark = self.scripts.mark.key(&mark);
        let kept = promises.keep(&self.topology, &mark, None, &write_mark).await;
        kept.map(|((), revision)| revision)
    }
}
