//! R6: what was answered as revoked stays revoked, also when the primary is lost.
//!
//! A primary acknowledges before its replicas have heard, so a failover can bring back what was revoked. `WAIT` tells how many
//! replicas have what the connection that asks wrote, and on another connection it tells nothing. So a revocation has a
//! connection for itself until it was acknowledged; it is never made again in between.

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

    /// Does something on a connection of its own, and waits for the replicas.
    async fn keep<T>(
        &self,
        act: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, IndexError> {
        let _turn = self.turns.acquire().await;
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        // A connection that failed is not used again: its next answer could be that of this call.
        let answer = act(&mut connection).await.map_err(|error| index_error(&error))?;
        let Acknowledgement { replicas, within } = self.acknowledgement;
        let acknowledged: u32 = redis::cmd("WAIT")
            .arg(replicas)
            .arg(u64::try_from(within.as_millis()).unwrap_or(u64::MAX))
            .query_async(&mut connection)
            .await
            .map_err(|error| index_error(&error))?;
        self.idle().push(connection);
        if acknowledged < replicas {
            let text = format!("{acknowledged} of {replicas} replicas acknowledged a revocation in time");
            return Err(IndexError::Unavailable(text));
        }
        Ok(answer)
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
    pub(super) async fn promise<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, IndexError> {
        // Also where it has a connection of its own: nothing is asked of a Redis that was not found fit.
        let mut shared = self.connection().await?;
        match &self.promises {
            Some(promises) => {
                promises
                    .keep(async |connection| script.invoke_async(connection).await)
                    .await
            }
            None => script
                .invoke_async(&mut shared)
                .await
                .map_err(|error| index_error(&error)),
        }
    }

    /// Waits until the replicas have whatever this Redis has done so far.
    pub(super) async fn settled(&self) -> Result<Revision, IndexError> {
        let Some(promises) = &self.promises else {
            return self.ping().await;
        };
        // `WAIT` asks for all that the primary had done when the connection's last command ended, whoever did it.
        let (seconds, micros): (u64, u64) = promises
            .keep(async |connection| redis::cmd("TIME").query_async(connection).await)
            .await?;
        Ok(seconds * 1_000_000 + micros)
    }
}
