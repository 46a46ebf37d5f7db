//! Which server has which keys, as far as is known.
//!
//! Of a standalone Redis that never changes. Where another server can take over, a task looks after it: at intervals, and at once
//! when an operation found that something is wrong. A server that takes over counts as a new node even at an address that was
//! known before, so no connection of the time before is used again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use crc::{CRC_16_XMODEM, Crc, Table};
use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ErrorKind, RedisResult};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time;

use super::barrier::Barrier;
use super::check::field;
use super::cluster::ClusterFinder;
use super::connector::Connector;
use super::deployment::{Shape, address, host_and_port};
use super::options::ConnectError;
use super::sentinel::SentinelFinder;
use super::store_clock::StoreClock;

/// Slots of a Redis Cluster.
pub(super) const SLOTS: u16 = 16_384;
/// How often it is looked whether everything is as it was.
const INTERVAL: Duration = Duration::from_secs(1);
/// However many operations find something wrong, it is not looked more often.
const LEAST_INTERVAL: Duration = Duration::from_millis(50);
/// How long an operation that found something wrong waits until somebody has looked.
const PATIENCE: Duration = Duration::from_millis(700);

const NOBODY: u16 = u16::MAX;

static SLOT_DIGEST: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_XMODEM);

/// A primary.
pub(super) struct Node {
    /// No two nodes have the same, also not one after the other at the same address.
    pub(super) number: u32,
    pub(super) address: ConnectionAddr,
    /// Which start of the server it is, where that matters.
    run: Option<Box<str>>,
    /// Each server has a clock of its own.
    pub(super) clock: StoreClock,
}

impl Node {
    /// Host and port, for people.
    pub(super) fn name(&self) -> String {
        self.address.to_string()
    }

    /// Fails where the server at the address was started again since somebody looked: it may have lost what it acknowledged, and
    /// another may have taken its place.
    pub(super) async fn recognize(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let Some(run) = &self.run else { return Ok(()) };
        let info: String = redis::cmd("INFO").arg("server").query_async(connection).await?;
        if field(&info, "run_id") == &**run {
            return Ok(());
        }
        Err((
            ErrorKind::Client,
            "it was started again, and nobody has said since that it is the primary",
        )
            .into())
    }
}

/// The primaries, and who has which slot.
#[derive(Default)]
pub(super) struct Map {
    nodes: Vec<Arc<Node>>,
    /// Of each slot the place of its owner in `nodes`; empty where one has everything.
    owners: Box<[u16]>,
}

/// What a look found.
pub(super) struct Found {
    pub(super) address: ConnectionAddr,
    /// Its slots, first and last, in a cluster.
    pub(super) slots: Vec<(u16, u16)>,
    /// Which start of the server it is, where that matters.
    pub(super) run: Option<Box<str>>,
}

impl Map {
    /// Who has a key; `None` while nobody is known to.
    pub(super) fn node(&self, key: &[u8]) -> Option<&Arc<Node>> {
        if self.owners.is_empty() {
            return self.nodes.first();
        }
        let owner = *self.owners.get(usize::from(slot(key)))?;
        self.nodes.get(usize::from(owner))
    }

    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// Whether a node has a slot.
    pub(super) fn has(&self, number: u32, slot: u16) -> bool {
        let owner = self.owners.get(usize::from(slot)).copied().unwrap_or(0);
        let node = self.nodes.get(usize::from(owner));
        node.is_some_and(|node| node.number == number)
    }

    /// Whether a node that is in both has a slot no longer.
    pub(super) fn has_lost(&self, before: &Self, number: u32) -> bool {
        (0..SLOTS).any(|slot| before.has(number, slot) && !self.has(number, slot))
    }

    fn is_same(&self, other: &Self) -> bool {
        let numbers = |map: &Self| map.nodes.iter().map(|node| node.number).collect::<Vec<_>>();
        numbers(self) == numbers(other) && self.owners == other.owners
    }
}

/// The slot of a key: of what stands in its first braces, if anything does.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    SLOT_DIGEST.checksum(tag.unwrap_or(key)) % SLOTS
}

/// The topology of one deployment. The task ends with it.
pub(super) struct Topology {
    shared: Arc<Shared>,
    task: Option<AbortHandle>,
}

pub(super) struct Shared {
    pub(super) connector: Arc<Connector>,
    map: ArcSwap<Map>,
    changed: watch::Sender<()>,
    looks: Arc<Barrier>,
    trouble: ArcSwapOption<ConnectError>,
    numbers: AtomicU32,
}

impl Topology {
    /// Begins to look after a deployment.
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        let shared = Arc::new(Shared {
            map: ArcSwap::default(),
            changed: watch::Sender::new(()),
            looks: Arc::new(Barrier::new(PATIENCE)),
            trouble: ArcSwapOption::empty(),
            numbers: AtomicU32::new(0),
            connector,
        });
        let finder = match &shared.connector.deployment.shape {
            Shape::Standalone => None,
            Shape::Sentinel { master } => Some(Finder::Sentinel(Box::new(SentinelFinder::new(
                &shared.connector,
                master,
                &shared.looks,
            )))),
            Shape::Cluster => Some(Finder::Cluster(ClusterFinder::new(&shared.connector))),
        };
        let task = if let Some(finder) = finder {
            Some(tokio::spawn(look_after(Arc::clone(&shared), finder)).abort_handle())
        } else {
            let seeds = shared.connector.deployment.seeds.iter();
            let only = |address: &ConnectionAddr| Found {
                address: address.clone(),
                slots: Vec::new(),
                run: None,
            };
            shared.apply(seeds.map(only).collect());
            None
        };
        Self { shared, task }
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.shared.connector
    }

    pub(super) fn map(&self) -> arc_swap::Guard<Arc<Map>> {
        self.shared.map.load()
    }

    /// Whether it can change at all.
    pub(super) fn can_change(&self) -> bool {
        self.task.is_some()
    }

    /// Whether several primaries share the keys.
    pub(super) fn is_shared(&self) -> bool {
        self.connector().deployment.shape == Shape::Cluster
    }

    /// Waits until somebody has looked again. After an error nothing is known that was not before.
    pub(super) async fn look(&self) -> Result<(), ConnectError> {
        self.look_for(PATIENCE).await
    }

    /// The same for whoever has all the time that a connection may take.
    pub(super) async fn look_first(&self) -> Result<(), ConnectError> {
        self.look_for(self.connector().patience()).await
    }

    async fn look_for(&self, patience: Duration) -> Result<(), ConnectError> {
        if self.task.is_none() || self.shared.looks.wait_for(patience, || true).await {
            return Ok(());
        }
        let trouble = self.shared.trouble.load_full();
        let silent = || ConnectError::Unreachable("nobody says who the primary is".to_owned());
        Err(trouble.map_or_else(silent, |trouble| (*trouble).clone()))
    }

    /// Something is wrong: somebody is to look soon.
    pub(super) fn suspect(&self) {
        if self.task.is_some() {
            self.shared.looks.want();
        }
    }

    /// A node says that a slot is elsewhere.
    pub(super) fn moved(&self, slot: u16, host: &str, port: u16) {
        let address = address(host, port, self.connector().deployment.tls);
        self.shared.assign(slot, &address);
        self.suspect();
    }

    /// The node at an address, which need not have keys yet.
    pub(super) fn node_at(&self, host: &str, port: u16) -> Arc<Node> {
        self.shared
            .node_at(&address(host, port, self.connector().deployment.tls), None)
    }

    /// Told whenever the map is another one.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Shared {
    fn node_at(&self, address: &ConnectionAddr, run: Option<Box<str>>) -> Arc<Node> {
        let name = address.to_string();
        let is_it = |node: &&Arc<Node>| node.name() == name && node.run == run;
        let known = self.map.load().nodes.iter().find(is_it).cloned();
        known.unwrap_or_else(|| {
            Arc::new(Node {
                number: self.numbers.fetch_add(1, Ordering::Relaxed),
                address: address.clone(),
                run,
                clock: StoreClock::new(),
            })
        })
    }

    fn apply(&self, found: Vec<Found>) {
        let mut map = Map::default();
        if found.iter().any(|primary| !primary.slots.is_empty()) {
            map.owners = vec![NOBODY; SLOTS.into()].into();
        }
        for primary in found {
            let place = u16::try_from(map.nodes.len()).unwrap_or(NOBODY);
            map.nodes.push(self.node_at(&primary.address, primary.run));
            for (first, last) in primary.slots {
                if let Some(owners) = map.owners.get_mut(first.into()..=last.into()) {
                    owners.fill(place);
                }
            }
        }
        if !map.is_same(&self.map.load()) {
            let names: Vec<_> = map.nodes.iter().map(|node| node.name()).collect();
            tracing::debug!(primaries = names.join(" "), "who has the keys of Redis");
            self.map.store(Arc::new(map));
            self.changed.send_replace(());
        }
    }

    fn assign(&self, slot: u16, address: &ConnectionAddr) {
        let node = self.node_at(address, None);
        self.map.rcu(|map| {
            let mut nodes = map.nodes.clone();
            let mut owners = map.owners.clone();
            let place = nodes.iter().position(|known| known.number == node.number);
            let place = place.unwrap_or_else(|| {
                nodes.push(Arc::clone(&node));
                nodes.len() - 1
            });
            if let Some(owner) = owners.get_mut(usize::from(slot)) {
                *owner = u16::try_from(place).unwrap_or(NOBODY);
            }
            Map { nodes, owners }
        });
        self.changed.send_replace(());
    }
}

/// Asks those who know.
enum Finder {
    Sentinel(Box<SentinelFinder>),
    Cluster(ClusterFinder),
}

async fn look_after(shared: Arc<Shared>, mut finder: Finder) {
    // Each trouble is told once, however often it is tried again.
    let mut troubles = HashSet::new();
    let mut pauses = pauses();
    loop {
        let came = shared.looks.came();
        let found = match &mut finder {
            Finder::Sentinel(sentinel) => sentinel.find(&shared.connector).await,
            Finder::Cluster(cluster) => {
                let known: Vec<_> = shared
                    .map
                    .load()
                    .nodes
                    .iter()
                    .map(|node| node.address.clone())
                    .collect();
                cluster.find(&shared.connector, &known).await
            }
        };
        let pause = match found {
            Ok(found) => {
                shared.trouble.store(None);
                troubles.clear();
                shared.apply(found);
                shared.looks.heard(came);
                pauses = self::pauses();
                INTERVAL
            }
            Err(error) => {
                if troubles.insert(error.to_string()) {
                    tracing::warn!(%error, "who the primary of Redis is, is not known");
                }
                shared.trouble.store(Some(Arc::new(error)));
                shared.looks.unheard();
                pauses.next().unwrap_or(INTERVAL)
            }
        };
        time::sleep(LEAST_INTERVAL).await;
        tokio::select! {
            () = time::sleep(pause) => {}
            () = shared.looks.wanted() => {}
        }
    }
}

/// How long to wait before each further attempt to reach what was not reached: longer each time, and not for everybody the same.
pub(super) fn pauses() -> impl Iterator<Item = Duration> + Send + Sync {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_millis(500))
        .with_jitter()
        .without_max_times()
        .build()
}

/// Host and port of a redirection, whose host may be left out: it is that of the node that answered.
pub(super) fn redirected(to: &str, by: &Node) -> Option<(String, u16)> {
    let (host, port) = to.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() {
        host_and_port(&by.address)?.0
    } else {
        host
    };
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the Redis Cluster specification, and its rules of hash tags.
    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(slot(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
        assert_ne!(slot(b"foo{}{bar}"), slot(b"bar"));
        assert_ne!(slot(b"foo{bar"), slot(b"bar"));
    }

    #[test]
    fn a_node_that_comes_back_is_another_one() {
        let connector = Connector::new(&super::super::RedisOptions::new(
            "redis://a:1".to_owned().into(),
            crate::Namespace::default(),
        ));
        let shared = Topology::new(Arc::new(connector.unwrap())).shared.clone();
        let at = |host: &str| address(host, 1, false);
        let found = |host: &str, slots: &[(u16, u16)], run: Option<&str>| Found {
            address: at(host),
            slots: slots.to_vec(),
            run: run.map(Into::into),
        };
        let number = |key: &[u8]| shared.map.load().node(key).map(|node| node.number);
        let first = number(b"k");
        shared.apply(vec![found("b", &[], None)]);
        assert_ne!(number(b"k"), first);
        shared.apply(vec![found("a", &[], Some("1"))]);
        let again = number(b"k");
        assert!(again.is_some() && again != first);
        shared.apply(vec![found("a", &[], Some("1"))]);
        assert_eq!(number(b"k"), again);
        shared.apply(vec![found("a", &[], Some("2"))]);
        assert!(number(b"k").is_some() && number(b"k") != again);

        shared.apply(vec![
            found("a", &[(0, 8_000)], None),
            found("b", &[(8_001, 16_382)], None),
        ]);
        let before = shared.map.load_full();
        let [a, b] = before.nodes() else { panic!() };
        assert!(before.has(a.number, 0) && before.has(b.number, 16_382) && !before.has(b.number, 16_383));
        shared.assign(0, &at("b"));
        let after = shared.map.load_full();
        assert!(after.has_lost(&before, a.number) && !after.has_lost(&before, b.number));
        assert!(after.has(b.number, 0));
    }

    #[test]
    fn a_redirection_may_leave_its_host_out() {
        let by = Node {
            number: 0,
            address: address("h", 1, false),
            run: None,
            clock: StoreClock::new(),
        };
        assert_eq!(redirected(":7", &by), Some(("h".to_owned(), 7)));
        assert_eq!(redirected("[::1]:7", &by), Some(("::1".to_owned(), 7)));
        assert_eq!(redirected("x", &by), None);
    }
}
