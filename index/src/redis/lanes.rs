//! A connection for each runtime that uses the index.
//!
//! What drives a connection is a task of the runtime that asked for it. Where each thread has a runtime of its own, an
//! operation wakes no other thread: not for the command, and not for its answer.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, RedisError, RedisResult};
use tokio::runtime::{Handle, Id};
use tokio::sync::Mutex;

use super::RedisOptions;
use super::connect::{self, ConnectError};

/// More runtimes than a process serves with; the lane of one that is gone stays until others need its place.
const MAX_LANES: usize = 256;
/// Commands that wait to be written: as many go out in one write, if they are there.
const WRITE_QUEUE: usize = 1_024;

/// The connections of an index, made when they are first needed, and again when they are needed after they were lost.
pub(super) struct Lanes {
    client: Client,
    options: RedisOptions,
    by_runtime: ArcSwap<VecDeque<Arc<Lane>>>,
}

impl Lanes {
    pub(super) fn new(options: &RedisOptions) -> Result<Self, ConnectError> {
        Ok(Self {
            // Only RESP3 has the means to be told at once that a connection is lost.
            client: connect::client(options, ProtocolVersion::RESP3)?,
            options: options.clone(),
            by_runtime: ArcSwap::default(),
        })
    }

    /// The connection of this runtime. Whoever asks while it is being made waits, and gets the same error if it fails.
    pub(super) async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let lane = self.lane();
        if let Some(connection) = lane.connection() {
            return Ok(connection);
        }
        let failures = lane.failures.load(Ordering::Acquire);
        let mut last_error = lane.connecting.lock().await;
        if let Some(connection) = lane.connection() {
            return Ok(connection);
        }
        if let Some(error) = &*last_error
            && lane.failures.load(Ordering::Acquire) != failures
        {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(open) => {
                let connection = open.connection.clone();
                lane.open.store(Some(Arc::new(open)));
                Ok(connection)
            }
            Err(error) => {
                *last_error = Some(error.clone());
                lane.failures.fetch_add(1, Ordering::AcqRel);
                Err(error)
            }
        }
    }

    async fn connect(&self) -> RedisResult<Open> {
        let lost = Arc::new(AtomicBool::new(false));
        let life = Life(Arc::clone(&lost));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.connection_timeout))
            .set_response_timeout(Some(self.options.response_timeout))
            .set_pipeline_buffer_size(WRITE_QUEUE)
            .set_push_sender(move |_: PushInfo| {
                let _ = &life;
                Ok::<(), Infallible>(())
            });
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Open { connection, lost })
    }

    fn lane(&self) -> Arc<Lane> {
        let runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        let known = |lanes: &VecDeque<Arc<Lane>>| lanes.iter().find(|lane| lane.runtime == runtime).cloned();
        if let Some(lane) = known(&self.by_runtime.load()) {
            return lane;
        }
        let lane = Arc::new(Lane {
            runtime,
            open: ArcSwapOption::empty(),
            failures: AtomicU64::new(0),
            connecting: Mutex::new(None),
        });
        self.by_runtime.rcu(|lanes| {
            let mut lanes = VecDeque::clone(lanes);
            if known(&lanes).is_none() {
                if lanes.len() == MAX_LANES {
                    lanes.pop_front();
                }
                lanes.push_back(Arc::clone(&lane));
            }
            lanes
        });
        known(&self.by_runtime.load()).unwrap_or(lane)
    }
}

/// The connection of a runtime.
struct Lane {
    runtime: Option<Id>,
    open: ArcSwapOption<Open>,
    /// How often it could not be made.
    failures: AtomicU64,
    /// Whoever holds it connects; why it failed the last time.
    connecting: Mutex<Option<RedisError>>,
}

impl Lane {
    fn connection(&self) -> Option<MultiplexedConnection> {
        let open = self.open.load();
        let open = open.as_ref().filter(|open| !open.lost.load(Ordering::Acquire))?;
        Some(open.connection.clone())
    }
}

struct Open {
    connection: MultiplexedConnection,
    lost: Arc<AtomicBool>,
}

/// Dropped when the task ends that drives the connection.
struct Life(Arc<AtomicBool>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
