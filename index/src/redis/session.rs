//! Sessions with primaries that tell what changes.
//!
//! Reads and invalidations share the connection, and the handler of invalidations runs where the connection is read, before
//! any answer that came after them is handed on. So when the answer to a heartbeat is in, every invalidation that Redis
//! sent before it was counted.
//!
//! Anything that breaks the connection ends its session, and with it the use of everything that was read on it. Where another
//! server can become the primary, so does a heartbeat that finds that this one is none, and silence for a lease: when it speaks
//! again, it may have slept through its own replacement.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, Pipeline, ProtocolVersion, PushInfo, RedisError, RedisResult};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time;

use super::check::field;
use super::deployment::Shape;
use super::index_error;
use super::topology::{Map, Node, pauses};
use super::tracking::{Place, Shared};
use crate::store::Revision;
use crate::tracking::PLACES;

/// Heartbeats within a lease: one may be late without its lapsing.
const HEARTBEATS: u32 = 4;

/// A connection on which a primary tells what changes.
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) node: Arc<Node>,
    pub(super) connection: MultiplexedConnection,
    heartbeat: Heartbeat,
}

/// A heartbeat that was answered.
pub(super) struct Heard {
    pub(super) session: u64,
    pub(super) sent_us: u64,
    pub(super) revision: Revision,
}

/// What is asked beside the time.
enum Heartbeat {
    /// Nothing: it is what it is.
    Time,
    /// Whether it is the primary.
    Role,
    /// A key of its own: a node refuses when it is no primary, or cut off from most of the others.
    Key(Vec<u8>),
}

impl Heartbeat {
    fn of(shared: &Shared, node: &Node) -> Self {
        match &shared.topology.connector().deployment.shape {
            Shape::Standalone => Self::Time,
            Shape::Sentinel { .. } => Self::Role,
            Shape::Cluster => {
                let map = shared.topology.map();
                let is_there = |key: &[u8]| map.node(key).is_some_and(|owner| owner.number == node.number);
                shared.keys.unused(is_there).map_or(Self::Time, Self::Key)
            }
        }
    }

    fn question(&self) -> Pipeline {
        let mut question = redis::pipe();
        question.cmd("TIME");
        match self {
            Self::Time => &mut question,
            Self::Role => question.cmd("INFO").arg("replication"),
            Self::Key(key) => question.cmd("EXISTS").arg(key),
        };
        question
    }
}

/// Has a session with each primary for as long as it is one.
pub(super) async fn manage(shared: Arc<Shared>) {
    let mut changes = shared.topology.changes();
    // Ends them when it is dropped.
    let mut sessions = JoinSet::new();
    let mut running: HashMap<u32, (usize, AbortHandle)> = HashMap::new();
    let mut before = Arc::<Map>::default();
    loop {
        changes.borrow_and_update();
        let map = Arc::clone(&shared.topology.map());
        running.retain(|number, (place, task)| {
            let stays = map.nodes().iter().any(|node| node.number == *number) && !map.has_lost(&before, *number);
            if !stays {
                task.abort();
                close(&shared, *place);
            }
            stays
        });
        for node in map.nodes() {
            let free = |place: &usize| running.values().all(|(taken, _)| taken != place);
            if !running.contains_key(&node.number)
                && let Some(place) = (0..PLACES).find(free)
            {
                shared.used.fetch_max(place + 1, Ordering::AcqRel);
                let task = sessions.spawn(supervise(Arc::clone(&shared), Arc::clone(node), place));
                running.insert(node.number, (place, task));
            }
        }
        before = map;
        tokio::select! {
            told = changes.changed() => if told.is_err() { return },
            Some(_) = sessions.join_next() => {}
        }
    }
}

/// Ends every session.
pub(super) fn close_all(shared: &Shared) {
    for place in 0..shared.places.len() {
        close(shared, place);
    }
}

/// Ends the session of a place, whatever it is.
fn close(shared: &Shared, place: usize) {
    if let Some(place) = shared.places.get(place)
        && let Some(session) = place.session.swap(None)
    {
        shared.end(session.number);
        place.barrier.unheard();
    }
}

/// Keeps a session up for as long as it is not aborted.
async fn supervise(shared: Arc<Shared>, node: Arc<Node>, number: usize) {
    let Some(place) = shared.places.get(number) else { return };
    let mut pause = pauses();
    // The same trouble is told once, however often it is tried again.
    let mut trouble = String::new();
    loop {
        match open(&shared, &node, number).await {
            Ok(session) => {
                pause = pauses();
                trouble.clear();
                tracing::info!(node = node.name(), "changes of the index are being told");
                let error = tokio::select! {
                    error = keep(&shared, place, &session) => index_error(&error),
                    never = tell_lapses(&shared, place) => match never {},
                };
                tracing::warn!(node = node.name(), %error, "changes of the index are no longer told");
            }
            Err(error) => {
                let error = index_error(&error).to_string();
                if error != trouble {
                    tracing::warn!(node = node.name(), error, "changes of the index cannot be told");
                    trouble = error;
                }
            }
        }
        close(&shared, number);
        place.barrier.unheard();
        shared.topology.suspect();
        time::sleep(pause.next().unwrap_or_default()).await;
    }
}

async fn open(shared: &Arc<Shared>, node: &Arc<Node>, place_number: usize) -> RedisResult<Arc<Session>> {
    let turn = shared.sessions.fetch_add(1, Ordering::Relaxed);
    let number = turn * PLACES as u64 + place_number as u64;
    let pushed = Arc::clone(shared);
    let connector = shared.topology.connector();
    let config = connector.config().set_push_sender(move |push: PushInfo| {
        pushed.pushed(number, &push);
        Ok::<(), std::convert::Infallible>(())
    });
    let client = connector.client(&node.address, ProtocolVersion::RESP3)?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    node.recognize(&mut connection).await?;
    redis::cmd("CLIENT")
        .arg(&["TRACKING", "ON"])
        .exec_async(&mut connection)
        .await?;
    let session = Arc::new(Session {
        number,
        node: Arc::clone(node),
        connection,
        heartbeat: Heartbeat::of(shared, node),
    });
    let place = &shared.places[place_number];
    shared.changes.begin(number);
    place.session.store(Some(Arc::clone(&session)));
    heartbeat(shared, place, &session).await?;
    Ok(session)
}

/// Sends heartbeats until none was answered for a lease.
async fn keep(shared: &Shared, place: &Place, session: &Session) -> RedisError {
    let mut ticks = time::interval(shared.lease / HEARTBEATS);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = place.barrier.wanted() => {}
        }
        let came = place.barrier.came();
        match heartbeat(shared, place, session).await {
            Ok(()) => place.barrier.heard(came),
            Err(error) => {
                place.barrier.unheard();
                // A server that answers, and not what a primary would.
                let refused = shared.topology.can_change() && !error.is_io_error();
                if refused || error.is_unrecoverable_error() || place.confirmed(shared).is_none() {
                    return error;
                }
                shared.topology.suspect();
            }
        }
    }
}

/// Wakes whoever waits for a change when the lease lapses, which nothing else tells at that moment. One timer for all of them.
async fn tell_lapses(shared: &Shared, place: &Place) -> std::convert::Infallible {
    loop {
        let left = place.confirmed(shared).map(|confirmed| {
            let age = Duration::from_micros(confirmed.age_us);
            shared.lease.saturating_sub(age)
        });
        if left.is_none() {
            shared.changes.unheard();
        }
        // Not shorter than the timer can tell apart.
        time::sleep(left.unwrap_or(shared.lease / HEARTBEATS).max(Duration::from_millis(1))).await;
    }
}

/// Asks for the time: the answer comes behind every invalidation that was sent before it.
async fn heartbeat(shared: &Shared, place: &Place, session: &Session) -> RedisResult<()> {
    let sent = shared.clock.monotonic_us();
    let mut connection = session.connection.clone();
    let question = session.heartbeat.question();
    let (seconds, micros) = match &session.heartbeat {
        Heartbeat::Time => {
            question
                .query_async::<((Revision, Revision),)>(&mut connection)
                .await?
                .0
        }
        Heartbeat::Key(_) => {
            let (time, _) = question
                .query_async::<((Revision, Revision), u8)>(&mut connection)
                .await?;
            time
        }
        Heartbeat::Role => {
            let (time, info) = question
                .query_async::<((Revision, Revision), String)>(&mut connection)
                .await?;
            if field(&info, "role") != "master" {
                return Err((ErrorKind::Client, "it is no primary any more").into());
            }
            time
        }
    };
    if shared.topology.can_change() && place.has_been_heard() && place.confirmed(shared).is_none() {
        return Err((ErrorKind::Client, "it was silent for longer than a lease").into());
    }
    place.hear(session.number, sent, seconds * 1_000_000 + micros);
    Ok(())
}
