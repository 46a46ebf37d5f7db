//! A connection to each node for each runtime that uses the index.
//!
//! What drives a connection is a task of the runtime that asked for it. Where each thread has a runtime of its own, an
//! operation wakes no other thread: not for the command, and not for its answer.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use redis::aio::MultiplexedConnection;
use redis::{ProtocolVersion, PushInfo, RedisError, RedisResult};
use tokio::runtime::{Handle, Id};
use tokio::sync::Mutex;

use super::connector::Connector;
use super::topology::{Node, Topology, pauses};

/// More than a process has runtimes, times the nodes of a large cluster; the lane of one that is gone stays until others need its
/// place.
const MAX_LANES: usize = 4_096;
/// Commands that wait to be written: as many go out in one write, if they are there.
const WRITE_QUEUE: usize = 1_024;

/// The connections of an index, made when they are first needed, and again when they are needed after they were lost.
#[derive(Default)]
pub(super) struct Lanes {
    by_runtime: ArcSwap<VecDeque<Arc<Lane>>>,
}

impl Lanes {
    /// The connection of this runtime to a node.
    pub(super) async fn connection(&self, topology: &Topology, node: &Arc<Node>) -> RedisResult<MultiplexedConnection> {
        let lane = self.lane(topology, node);
        match lane.connection() {
            Some(connection) => Ok(connection),
            None => lane.connect(topology.connector()).await,
        }
    }

    /// The place of this runtime's connection to a node.
    pub(super) fn lane(&self, topology: &Topology, node: &Arc<Node>) -> Arc<Lane> {
        let runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        let is_it = |lane: &&Arc<Lane>| lane.runtime == runtime && lane.node.number == node.number;
        let known = |lanes: &VecDeque<Arc<Lane>>| lanes.iter().find(is_it).cloned();
        if let Some(lane) = known(&self.by_runtime.load()) {
            return lane;
        }
        let lane = Arc::new(Lane {
            runtime,
            node: Arc::clone(node),
            open: ArcSwapOption::empty(),
            failures: AtomicU64::new(0),
            connecting: Mutex::new(None),
        });
        let map = topology.map();
        self.by_runtime.rcu(|lanes| {
            let mut lanes = VecDeque::clone(lanes);
            if known(&lanes).is_none() {
                // Nobody asks a node that is none any more.
                lanes.retain(|lane| map.nodes().iter().any(|node| node.number == lane.node.number));
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

/// The connection of a runtime to a node.
pub(super) struct Lane {
    runtime: Option<Id>,
    pub(super) node: Arc<Node>,
    open: ArcSwapOption<Open>,
    /// How often it could not be made.
    failures: AtomicU64,
    /// Whoever holds it connects; why it failed the last time.
    connecting: Mutex<Option<Failure>>,
}

/// A connection that could not be made.
struct Failure {
    error: RedisError,
    /// Until then nobody tries again: a Redis that comes back is not to be run down.
    until: Instant,
    pauses: Box<dyn Iterator<Item = Duration> + Send + Sync>,
}

impl Lane {
    /// The connection, if it is there.
    pub(super) fn connection(&self) -> Option<MultiplexedConnection> {
        let open = self.open.load();
        let open = open.as_ref().filter(|open| !open.lost.load(Ordering::Acquire))?;
        Some(open.connection.clone())
    }

    /// Makes the connection. Whoever asks while it is being made waits, and gets the same error if it fails; then nobody tries
    /// again for a while.
    pub(super) async fn connect(&self, connector: &Connector) -> RedisResult<MultiplexedConnection> {
        let failures = self.failures.load(Ordering::Acquire);
        let mut last = self.connecting.lock().await;
        if let Some(connection) = self.connection() {
            return Ok(connection);
        }
        if let Some(failure) = &*last
            && (self.failures.load(Ordering::Acquire) != failures || Instant::now() < failure.until)
        {
            return Err(failure.error.clone());
        }
        match open(connector, &self.node).await {
            Ok(open) => {
                let connection = open.connection.clone();
                self.open.store(Some(Arc::new(open)));
                *last = None;
                Ok(connection)
            }
            Err(error) => {
                let mut pauses = last
                    .take()
                    .map_or_else(|| Box::new(pauses()) as _, |failure| failure.pauses);
                let pause = pauses.next().unwrap_or_default();
                *last = Some(Failure {
                    error: error.clone(),
                    until: Instant::now() + pause,
                    pauses,
                });
                self.failures.fetch_add(1, Ordering::AcqRel);
                Err(error)
            }
        }
    }
}

async fn open(connector: &Connector, node: &Node) -> RedisResult<Open> {
    let lost = Arc::new(AtomicBool::new(false));
    let life = Life(Arc::clone(&lost));
    let config = connector
        .config()
        .set_pipeline_buffer_size(WRITE_QUEUE)
        .set_push_sender(move |_: PushInfo| {
            let _ = &life;
            Ok::<(), Infallible>(())
        });
    // Only RESP3 has the means to be told at once that a connection is lost.
    let client = connector.client(&node.address, ProtocolVersion::RESP3)?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    node.recognize(&mut connection).await?;
    Ok(Open { connection, lost })
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
