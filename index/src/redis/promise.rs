//! R6: what was answered as revoked stays revoked, also when the primary is lost.
//!
//! A primary acknowledges before its replicas have heard, so a failover can bring back what was revoked. `WAIT` tells how many
//! replicas have what the connection that asks wrote, and on another connection it tells nothing. So a revocation has a
//! connection for itself until it was acknowledged; it is never made again in between. A revocation that finds nothing to do
//! writes nothing, though an attempt before it may have been done and not acknowledged: so a mark is written behind each.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, ProtocolVersion, RedisResult, ScriptInvocation};
use tokio::sync::Semaphore;

use super::connect::{self, ConnectError};
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
    client: Client,
    config: AsyncConnectionConfig,
    turns: Semaphore,
    idle: Mutex<Vec<MultiplexedConnection>>,
}

impl Promises {
    /// `None` where the primary's word is enough.
    pub(super) fn new(options: &RedisOptions) -> Result<Option<Arc<Self>>, ConnectError> {
        let Some(acknowledgement) = options.acknowledgement else {
            return Ok(None);
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connection_timeout))
            .set_response_timeout(Some(options.response_timeout + acknowledgement.within));
        Ok(Some(Arc::new(Self {
            acknowledgement,
            client: connect::client(options, ProtocolVersion::RESP2)?,
            config,
            turns: Semaphore::new(CONNECTIONS),
            idle: Mutex::default(),
        })))
    }

    /// Does something on a connection of its own, and waits for the replicas of that node. `mark` writes something there.
    async fn keep<T>(
        &self,
        mark: &ScriptInvocation<'_>,
        act: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<(T, Revision), IndexError> {
        let _turn = self.turns.acquire().await;
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        // A connection that failed is not used again: its next answer could be that of this call.
        let (answer, marked, acknowledged) = self
            .act_and_wait(&mut connection, mark, act)
            .await
            .map_err(|error| index_error(&error))?;
        self.idle().push(connection);
        if acknowledged < self.acknowledgement.replicas {
            let replicas = self.acknowledgement.replicas;
            let text = format!("{acknowledged} of {replicas} replicas acknowledged a revocation in time");
            return Err(IndexError::Unavailable(text));
        }
        Ok((answer, marked))
    }

    async fn act_and_wait<T>(
        &self,
        connection: &mut MultiplexedConnection,
        mark: &ScriptInvocation<'_>,
        act: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<(T, Revision, u32)> {
        let answer = act(connection).await?;
        let marked = mark.invoke_async(connection).await?;
        let Acknowledgement { replicas, within } = self.acknowledgement;
        let acknowledged = redis::cmd("WAIT")
            .arg(replicas)
            .arg(u64::try_from(within.as_millis()).unwrap_or(u64::MAX))
            .query_async(connection)
            .await?;
        Ok((answer, marked, acknowledged))
    }

    async fn connect(&self) -> Result<MultiplexedConnection, IndexError> {
        let connection = self.client.get_multiplexed_async_connection_with_config(&self.config);
        connection.await.map_err(|error| index_error(&error))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<MultiplexedConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
        // Also where it has a connection of its own: nothing is asked of a Redis that was not found fit.
        let mut shared = self.connection().await?;
        match &self.promises {
            Some(promises) => promises
                .keep(&self.scripts.mark.key(mark), async |connection| {
                    script.invoke_async(connection).await
                })
                .await
                .map(|(answer, _)| answer),
            None => script
                .invoke_async(&mut shared)
                .await
                .map_err(|error| index_error(&error)),
        }
    }

    /// Waits until the replicas have whatever the node of a key has done so far.
    pub(super) async fn settled(&self, mark: Vec<u8>) -> Result<Revision, IndexError> {
        let Some(promises) = &self.promises else {
            return self.ping().await;
        };
        let mark = self.scripts.mark.key(mark);
        let ((), revision) = promises.keep(&mark, async |_| Ok(())).await?;
        Ok(revision)
    }
}
