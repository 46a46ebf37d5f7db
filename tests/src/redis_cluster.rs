//! A Redis Cluster: three primaries with a replica each, which fail over within seconds.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisResult, cmd};

use crate::deadline::{DEADLINE, poll};
use crate::redis_server::{RedisServer, free_port};
use crate::redis_tls::RedisCertificates;

const PRIMARIES: usize = 3;
const SLOTS: u16 = 16_384;

/// Six servers. Gone when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    /// What the nodes call themselves.
    ids: Vec<String>,
    /// Where services find them over TLS, if they do.
    tls_ports: Vec<u16>,
}

impl RedisCluster {
    /// Starts it, and waits until every node serves and has its replica. The first three are primaries, the others their
    /// replicas in the same order.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further settings of each server.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::launch(
            |settings| RedisServer::start_with(&[settings, arguments].concat()),
            None,
        )
    }

    /// The same of Valkey, which can move slots at once.
    pub fn start_valkey() -> Self {
        Self::launch(RedisServer::start_valkey_with, None)
    }

    /// The same where services and servers find each other over TLS alone, each with a certificate. The test itself talks to
    /// them without.
    pub fn start_tls(certificates: &RedisCertificates) -> Self {
        let start = |settings: &[&str]| RedisServer::start_with(&[settings, &["--tls-cluster", "yes"]].concat());
        Self::launch(start, Some(certificates))
    }

    fn launch(start: impl Fn(&[&str]) -> RedisServer, tls: Option<&RedisCertificates>) -> Self {
        let buses: Vec<_> = (0..2 * PRIMARIES).map(|_| free_port()).collect();
        let tls_ports: Vec<_> = tls
            .map(|_| buses.iter().map(|_| free_port()).collect())
            .unwrap_or_default();
        let nodes: Vec<_> = buses
            .iter()
            .enumerate()
            .map(|(number, bus)| {
                let bus = bus.to_string();
                let secure = tls
                    .map(|tls| tls.member_settings(tls_ports[number]))
                    .unwrap_or_default();
                let secure: Vec<_> = secure.iter().map(String::as_str).collect();
                let cluster = [
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "1000",
                    "--cluster-port",
                    &bus,
                ];
                let quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
                // However long a replica was cut off, it may become the primary: there may be nobody else.
                let always = ["--cluster-replica-validity-factor", "0"];
                start(&[&cluster[..], &quick, &always, &secure].concat())
            })
            .collect();
        let ids = nodes.iter().map(|node| ask(node, cmd("CLUSTER").arg("MYID"))).collect();
        let cluster = Self { nodes, ids, tls_ports };
        cluster.join(&buses);
        cluster.wait_until_whole();
        cluster
    }

    fn join(&self, buses: &[u16]) {
        let share = SLOTS / 3 + 1;
        for (number, node) in self.nodes.iter().enumerate() {
            let _: () = ask(node, cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(number + 1));
            let _: () = ask(
                &self.nodes[0],
                cmd("CLUSTER")
                    .arg("MEET")
                    .arg("127.0.0.1")
                    .arg(node.port())
                    .arg(buses[number]),
            );
        }
        for (node, first) in self.nodes[..PRIMARIES].iter().zip((0..SLOTS).step_by(share.into())) {
            let last = (first + share).min(SLOTS) - 1;
            let _: () = ask(node, cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(first).arg(last));
        }
        for number in 0..PRIMARIES {
            let replica = &self.nodes[PRIMARIES + number];
            poll("a replica knows its primary", DEADLINE, || {
                try_ask::<()>(replica, cmd("CLUSTER").arg("REPLICATE").arg(&self.ids[number])).ok()
            });
        }
    }

    /// `redis+cluster://…` with three of the nodes; `rediss+cluster://…` where they speak TLS.
    pub fn url(&self) -> String {
        let plain = self.nodes.iter().map(RedisServer::port);
        let (scheme, ports): (_, Vec<_>) = if self.tls_ports.is_empty() {
            ("redis", plain.collect())
        } else {
            ("rediss", self.tls_ports.clone())
        };
        let addresses = ports[..PRIMARIES].iter().map(|port| format!("127.0.0.1:{port}"));
        format!("{scheme}+cluster://{}", addresses.collect::<Vec<_>>().join(","))
    }

    /// The servers.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// One of them.
    pub fn node(&mut self, number: usize) -> &mut RedisServer {
        &mut self.nodes[number]
    }

    /// The slot of a key.
    pub fn slot(&self, key: &[u8]) -> u16 {
        self.any(|node| try_ask(node, cmd("CLUSTER").arg("KEYSLOT").arg(key)))
    }

    /// Which server is the primary of a slot, as a majority of those says that are alive; `None` while there is none.
    pub fn owner(&self, slot: u16) -> Option<usize> {
        let mut votes = vec![0; self.nodes.len()];
        let mut asked = 0;
        for node in &self.nodes {
            let Ok(ranges) = try_ask::<Vec<Vec<redis::Value>>>(node, cmd("CLUSTER").arg("SLOTS")) else {
                continue;
            };
            asked += 1;
            if let Some(owner) = ranges.iter().find_map(|range| owner_in(range, slot))
                && let Some(number) = self.nodes.iter().position(|node| node.port() == owner)
            {
                votes[number] += 1;
            }
        }
        let owner = votes.iter().position(|votes| 2 * votes > asked)?;
        (self.nodes[owner].role().as_deref() == Some("master")).then_some(owner)
    }

    /// Waits until another server than this is the primary of a slot.
    pub fn wait_for_owner_other_than(&self, slot: u16, old: usize) -> usize {
        poll("another primary of a slot", DEADLINE, || {
            self.owner(slot).filter(|owner| *owner != old)
        })
    }

    /// Makes the replica of a primary take over while both live, and waits for it.
    pub fn failover(&self, primary: usize) -> usize {
        let slot = poll("a slot of the primary", DEADLINE, || {
            (0..SLOTS).step_by(512).find(|slot| self.owner(*slot) == Some(primary))
        });
        poll("a failover begins", DEADLINE, || {
            self.nodes.iter().enumerate().find_map(|(number, node)| {
                let follows = number != primary && follows(node, self.nodes[primary].port());
                (follows && try_ask::<()>(node, cmd("CLUSTER").arg("FAILOVER")).is_ok()).then_some(())
            })
        });
        self.wait_for_owner_other_than(slot, primary)
    }

    /// Waits until every node that lives says that the cluster is well, and every replica that lives follows its primary.
    pub fn wait_until_whole(&self) {
        poll("the whole cluster", DEADLINE, || {
            let mut primaries = 0;
            for node in &self.nodes {
                let Some(role) = node.role() else { continue };
                let info: String = try_ask(node, cmd("CLUSTER").arg("INFO")).ok()?;
                let knows_all = info.contains("cluster_known_nodes:6") && info.contains("cluster_size:3");
                if !knows_all || !info.contains("cluster_state:ok") {
                    return None;
                }
                if role == "master" {
                    primaries += 1;
                } else if !node.info("replication").contains("master_link_status:up") {
                    return None;
                }
            }
            (primaries == PRIMARIES && (0..SLOTS).step_by(512).all(|slot| self.owner(slot).is_some())).then_some(())
        });
    }

    /// Moves a slot with its keys to another primary.
    pub fn move_slot(&self, slot: u16, to: usize) {
        let from = self.begin_move(slot, to);
        self.move_keys(slot, from, to);
        self.end_move(slot, to);
    }

    /// Moves all slots from one up to another to another primary, as Valkey does since version 9: all of them change hands in
    /// one moment, with all their keys. A primary that has none left becomes a replica.
    pub fn move_slots_at_once(&self, first: u16, last: u16, to: usize) {
        let from = poll("the owner of slots", DEADLINE, || self.owner(first));
        let migrate = cmd("CLUSTER")
            .arg(&["MIGRATESLOTS", "SLOTSRANGE"])
            .arg(first)
            .arg(last)
            .arg("NODE")
            .arg(&self.ids[to])
            .to_owned();
        let _: () = ask(&self.nodes[from], &migrate);
        poll("slots have changed hands", DEADLINE, || {
            (self.owner(last) == Some(to)).then_some(())
        });
    }

    /// The first step: the slot is on the move, and none of its keys has moved yet. Answers where from.
    pub fn begin_move(&self, slot: u16, to: usize) -> usize {
        let from = poll("the owner of a slot", DEADLINE, || self.owner(slot));
        let importing = cmd("CLUSTER")
            .arg("SETSLOT")
            .arg(slot)
            .arg("IMPORTING")
            .arg(&self.ids[from])
            .to_owned();
        let migrating = cmd("CLUSTER")
            .arg("SETSLOT")
            .arg(slot)
            .arg("MIGRATING")
            .arg(&self.ids[to])
            .to_owned();
        let _: () = ask(&self.nodes[to], &importing);
        let _: () = ask(&self.nodes[from], &migrating);
        from
    }

    /// The second: its keys move.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) {
        loop {
            let keys: Vec<Vec<u8>> = ask(
                &self.nodes[from],
                cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(100),
            );
            if keys.is_empty() {
                return;
            }
            for key in keys {
                self.move_key(&key, from, to);
            }
        }
    }

    /// Moves one key of a slot that is on the move.
    pub fn move_key(&self, key: &[u8], from: usize, to: usize) {
        let port = self.nodes[to].port();
        let migrate = cmd("MIGRATE")
            .arg("127.0.0.1")
            .arg(port)
            .arg(key)
            .arg(0)
            .arg(5_000)
            .to_owned();
        let _: String = ask(&self.nodes[from], &migrate);
    }

    /// The last: everybody is told.
    pub fn end_move(&self, slot: u16, to: usize) {
        let told = cmd("CLUSTER")
            .arg("SETSLOT")
            .arg(slot)
            .arg("NODE")
            .arg(&self.ids[to])
            .to_owned();
        let _: () = ask(&self.nodes[to], &told);
        for node in &self.nodes {
            if node.role().as_deref() == Some("master") {
                let _: () = ask(node, &told);
            }
        }
        poll("everybody knows the owner of a slot", DEADLINE, || {
            (self.owner(slot) == Some(to)).then_some(())
        });
    }

    fn any<T>(&self, mut ask: impl FnMut(&RedisServer) -> RedisResult<T>) -> T {
        let found = self.nodes.iter().find_map(|node| ask(node).ok());
        found.expect("a node of the cluster answers")
    }
}

/// The port of the primary of a range of `CLUSTER SLOTS`, if the slot is in it.
fn owner_in(range: &[redis::Value], slot: u16) -> Option<u16> {
    let [first, last, primary, ..] = range else { return None };
    let first: u16 = redis::from_redis_value(first.clone()).ok()?;
    let last: u16 = redis::from_redis_value(last.clone()).ok()?;
    let redis::Value::Array(primary) = primary else {
        return None;
    };
    let port: u16 = redis::from_redis_value(primary.get(1)?.clone()).ok()?;
    (first..=last).contains(&slot).then_some(port)
}

fn follows(node: &RedisServer, primary_port: u16) -> bool {
    node.role().as_deref() == Some("slave") && {
        let info = node.info("replication");
        info.contains(&format!("master_port:{primary_port}\r")) && info.contains("master_link_status:up")
    }
}

fn try_ask<T: FromRedisValue>(node: &RedisServer, command: &Cmd) -> RedisResult<T> {
    let mut connection = node.connect()?;
    connection.set_read_timeout(Some(Duration::from_secs(6)))?;
    command.query(&mut connection)
}

fn ask<T: FromRedisValue>(node: &RedisServer, command: &Cmd) -> T {
    try_ask(node, command).expect("a node of the cluster answers")
}
