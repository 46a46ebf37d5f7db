//! Takes an operation to whoever has its key, also when that is another one by now.
//!
//! What a server refused because it is not (or not yet, or no longer) its place to do it was not done, so it may be sent to
//! another one. Everything else that fails is the caller's to judge: it may have been done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult, ScriptInvocation, ServerErrorKind,
    Value,
};
use tokio::time;

use super::lanes::{Lane, Lanes};
use super::topology::{Node, Topology, redirected};
use crate::store::Revision;

/// How often an operation is sent elsewhere.
const MAX_HOPS: u32 = 5;
/// How long it waits where the servers have not settled who has its key.
const PAUSE: Duration = Duration::from_millis(20);

/// What an operation touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touches {
    /// One key.
    Key,
    /// Several, of which the servers are not told all. While a slot is on the move such an operation waits, because each of the
    /// two servers has only a part: on the importing one it would find a part missing, and say that there was nothing to revoke.
    Keys,
}

/// A connection to whoever has a key.
pub(super) struct Route {
    lane: Arc<Lane>,
    connection: MultiplexedConnection,
    /// The key is there already, and its slot is not.
    asking: bool,
}

impl ConnectionLike for Route {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        if !self.asking {
            return self.connection.req_packed_command(command);
        }
        Box::pin(async move {
            let mut pipeline = redis::pipe();
            pipeline.cmd("ASKING").ignore().add_command(command.clone());
            let mut answers = self.connection.req_packed_commands(&pipeline, 1, 1).await?;
            answers
                .pop()
                .ok_or_else(|| (ErrorKind::UnexpectedReturnType, "no answer").into())
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

/// What is done.
#[derive(Clone, Copy)]
pub(super) enum Operation<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
    Script(&'a ScriptInvocation<'a>),
    /// A script that is told until when the node may begin with it, by the node's own clock.
    Timed(&'a (dyn Fn(Option<Revision>) -> ScriptInvocation<'a> + Sync), Duration),
}

impl Operation<'_> {
    async fn act<T: FromRedisValue>(self, route: &mut Route) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(route).await,
            Self::Pipeline(pipeline) => pipeline.query_async(route).await,
            Self::Script(script) => script.invoke_async(route).await,
            Self::Timed(script, patience) => {
                let script = script(route.lane.node.clock.after(patience));
                script.invoke_async(route).await
            }
        }
    }
}

/// Does something to a key, wherever it is, and answers also where that was. It may be sent more than once, but only after a
/// refusal.
pub(super) async fn run<T: FromRedisValue>(
    lanes: &Lanes,
    topology: &Topology,
    touches: Touches,
    key: &[u8],
    operation: Operation<'_>,
) -> RedisResult<(T, Arc<Lane>)> {
    let mut detour = Detour::default();
    loop {
        let Some(lane) = detour.lane(lanes, topology, key) else {
            let error = nobody();
            detour
                .after(topology, touches, None, &error)
                .await
                .map_err(|()| error)?;
            continue;
        };
        let connection = match lane.connection() {
            Some(connection) => connection,
            None => match lane.connect(topology.connector()).await {
                Ok(connection) => connection,
                Err(error) => {
                    detour.not_sent(topology, &lane.node).await.map_err(|()| error)?;
                    continue;
                }
            },
        };
        let asking = detour.asking.is_some();
        let mut route = Route {
            lane,
            connection,
            asking,
        };
        match operation.act(&mut route).await {
            Ok(answer) => return Ok((answer, route.lane)),
            Err(error) => {
                let further = detour.after(topology, touches, Some(&route.lane.node), &error).await;
                further.map_err(|()| error)?;
            }
        }
    }
}

/// There is nobody to ask.
pub(super) fn nobody() -> RedisError {
    (
        ErrorKind::ClusterConnectionNotFound,
        "no primary is known that has the key",
    )
        .into()
}

/// What came of the attempts so far.
#[derive(Default)]
pub(super) struct Detour {
    hops: u32,
    since: Option<Instant>,
    asking: Option<Arc<Node>>,
}

impl Detour {
    fn lane(&self, lanes: &Lanes, topology: &Topology, key: &[u8]) -> Option<Arc<Lane>> {
        let map = topology.map();
        let node = self.asking.as_ref().or_else(|| map.node(key))?;
        Some(lanes.lane(topology, node))
    }

    /// Whom to ask next.
    pub(super) fn node(&self, topology: &Topology, key: &[u8]) -> Option<Arc<Node>> {
        self.asking.clone().or_else(|| topology.map().node(key).cloned())
    }

    /// After a connection that could not be made. `Err`: there is nowhere else to go.
    pub(super) async fn not_sent(&mut self, topology: &Topology, node: &Node) -> Result<(), ()> {
        self.asking = None;
        if !topology.can_change() || self.hops == MAX_HOPS {
            return Err(());
        }
        self.hops += 1;
        topology.look().await.map_err(drop)?;
        let is_still = topology.map().nodes().iter().any(|known| known.number == node.number);
        if is_still { Err(()) } else { Ok(()) }
    }

    /// After an error of this node. `Err`: that is what the caller gets.
    pub(super) async fn after(
        &mut self,
        topology: &Topology,
        touches: Touches,
        node: Option<&Node>,
        error: &RedisError,
    ) -> Result<(), ()> {
        self.asking = None;
        if !topology.can_change() {
            return Err(());
        }
        let ErrorKind::Server(kind) = error.kind() else {
            // Perhaps it is gone; whoever comes next should know.
            topology.suspect();
            return if node.is_none() {
                self.settled(topology, true).await
            } else {
                Err(())
            };
        };
        match (kind, node) {
            (ServerErrorKind::Moved, Some(node)) => {
                self.hops += 1;
                let (to, slot) = error.redirect_node().ok_or_else(|| topology.suspect())?;
                let (host, port) = redirected(to, node).ok_or(())?;
                topology.moved(slot, &host, port);
                if self.hops > MAX_HOPS { Err(()) } else { Ok(()) }
            }
            (ServerErrorKind::Ask, Some(node)) if touches == Touches::Key => {
                self.hops += 1;
                let (to, _) = error.redirect_node().ok_or_else(|| topology.suspect())?;
                let (host, port) = redirected(to, node).ok_or(())?;
                self.asking = Some(topology.node_at(&host, port));
                if self.hops > MAX_HOPS { Err(()) } else { Ok(()) }
            }
            (ServerErrorKind::Ask | ServerErrorKind::TryAgain, _) => self.settled(topology, false).await,
            (
                ServerErrorKind::ClusterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading,
                _,
            ) => self.settled(topology, true).await,
            _ => Err(()),
        }
    }

    /// Waits a little, but not longer than somebody waits for the answer.
    async fn settled(&mut self, topology: &Topology, look: bool) -> Result<(), ()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() > topology.connector().response_timeout / 2 {
            return Err(());
        }
        if look {
            // What it says does not matter here: the next attempt tells.
            let _ = topology.look().await;
        }
        time::sleep(PAUSE).await;
        Ok(())
    }
}
