//! A Redis with two replicas, watched by three sentinels that fail it over within seconds.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::deadline::{DEADLINE, poll};
use crate::redis_server::{RedisServer, free_port, redis_program};
use crate::redis_tls::RedisCertificates;

/// What the sentinels call the primary.
pub const MASTER_NAME: &str = "main";

const NODES: usize = 3;
const SENTINELS: usize = 3;

/// Three servers, one of which is the primary, and three sentinels. Gone when dropped.
#[derive(Debug)]
pub struct RedisSentinel {
    nodes: Vec<RedisServer>,
    /// Where services and sentinels find them.
    ports: Vec<u16>,
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: u16,
    tls_port: Option<u16>,
    process: Child,
    /// It writes what it learns into its configuration.
    _folder: TempDir,
}

impl RedisSentinel {
    /// Starts it, and waits until every sentinel knows all the others and both replicas.
    pub fn start() -> Self {
        Self::start_with(&[], "")
    }

    /// The same with further settings of the servers, and further lines for the configuration of each sentinel.
    pub fn start_with(arguments: &[&str], sentinel_lines: &str) -> Self {
        Self::launch(arguments, sentinel_lines, None)
    }

    /// The same where services, servers and sentinels find each other over TLS alone, each with a certificate. The test itself
    /// talks to them without.
    pub fn start_tls(certificates: &RedisCertificates) -> Self {
        Self::launch(&[], "", Some(certificates))
    }

    fn launch(arguments: &[&str], sentinel_lines: &str, tls: Option<&RedisCertificates>) -> Self {
        let quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
        let start = |_| {
            let tls_port = tls.map(|_| free_port());
            let secure = tls.zip(tls_port).map(|(tls, port)| tls.member_settings(port));
            let secure = secure.unwrap_or_default();
            let secure: Vec<_> = secure.iter().map(String::as_str).collect();
            let node = RedisServer::start_with(&[&quick[..], arguments, &secure].concat());
            let port = tls_port.unwrap_or_else(|| node.port());
            (node, port)
        };
        let (nodes, ports): (Vec<_>, Vec<_>) = (0..NODES).map(start).unzip();
        for replica in &nodes[1..] {
            replica.follow_at(&nodes[0], ports[0]);
        }
        let sentinels = (0..SENTINELS)
            .map(|_| Sentinel::start(ports[0], sentinel_lines, tls))
            .collect();
        let started = Self {
            nodes,
            ports,
            sentinels,
        };
        started.wait_until_watched();
        started
    }

    /// `redis+sentinel://…` with all sentinels; `rediss+sentinel://…` where they speak TLS.
    pub fn url(&self) -> String {
        let sentinels = self.sentinels.iter();
        let ports = sentinels.map(|sentinel| (sentinel.tls_port.unwrap_or(sentinel.port), sentinel.tls_port.is_some()));
        let (ports, secure): (Vec<_>, Vec<_>) = ports.unzip();
        let addresses: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let scheme = if secure.contains(&true) { "rediss" } else { "redis" };
        format!("{scheme}+sentinel://{}/{MASTER_NAME}", addresses.join(","))
    }

    /// The ports of the sentinels, at 127.0.0.1.
    pub fn sentinel_ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|sentinel| sentinel.port).collect()
    }

    /// Stops a sentinel (SIGSTOP): it hears nothing and says nothing.
    pub fn freeze_sentinel(&self, number: usize) {
        signal(&self.sentinels[number].process, "-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw_sentinel(&self, number: usize) {
        signal(&self.sentinels[number].process, "-CONT");
    }

    /// The servers; the first was the primary when it started.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// One of them.
    pub fn node(&mut self, number: usize) -> &mut RedisServer {
        &mut self.nodes[number]
    }

    /// Which server a majority of the sentinels calls the primary, if it says so itself too.
    pub fn primary(&self) -> Option<usize> {
        let named: Vec<_> = self.sentinels.iter().filter_map(Sentinel::primary_port).collect();
        let number = self.ports.iter().position(|node| {
            let votes = named.iter().filter(|port| *port == node).count();
            votes > SENTINELS / 2
        })?;
        (self.nodes[number].role().as_deref() == Some("master")).then_some(number)
    }

    /// Waits until another one than this is the primary.
    pub fn wait_for_primary_other_than(&self, old: usize) -> usize {
        poll("another primary", DEADLINE, || {
            self.primary().filter(|primary| *primary != old)
        })
    }

    /// Tells a sentinel to make another server the primary, and waits for it.
    pub fn failover(&self) -> usize {
        let old = poll("a primary", DEADLINE, || self.primary());
        // A sentinel refuses for as long as the failover before has not settled, or it knows no good replica.
        poll("a failover begins", DEADLINE, || {
            let asked = self.sentinels.iter().any(|sentinel| {
                let failover = redis::cmd("SENTINEL").arg(&["FAILOVER", MASTER_NAME]).to_owned();
                sentinel.ask::<()>(&failover).is_ok()
            });
            asked.then_some(())
        });
        self.wait_for_primary_other_than(old)
    }

    /// Waits until the primary has all the other servers for replicas, which is so some seconds after a failover.
    pub fn wait_until_whole(&self) -> usize {
        poll("a primary with its replicas", DEADLINE, || {
            let primary = self.primary()?;
            let whole = self.nodes.iter().enumerate().all(|(number, node)| {
                let follows = || node.info("replication").contains("master_link_status:up");
                number == primary || (node.role().as_deref() == Some("slave") && follows())
            });
            whole.then_some(primary)
        })
    }

    fn wait_until_watched(&self) {
        for sentinel in &self.sentinels {
            poll("a sentinel knows everybody", DEADLINE, || {
                let (replicas, sentinels) = sentinel.known()?;
                (replicas == NODES - 1 && sentinels == SENTINELS - 1).then_some(())
            });
        }
    }
}

impl Sentinel {
    fn start(primary_port: u16, lines: &str, tls: Option<&RedisCertificates>) -> Self {
        // A port that is free now may be taken a moment later: then it ends at once, and another is tried.
        for _ in 0..20 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let port = free_port();
            let file = folder.path().join("sentinel.conf");
            let name = MASTER_NAME;
            let tls_port = tls.map(|_| free_port());
            let secure = tls.zip(tls_port).map(|(tls, port)| tls.member_settings(port));
            let secure = secure.unwrap_or_default();
            let secure: Vec<_> = secure
                .chunks(2)
                .map(|setting| format!("{} {}\n", setting[0].trim_start_matches("--"), setting[1]))
                .collect();
            let secure = secure.concat();
            let configuration = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {name} 127.0.0.1 {primary_port} 2\n\
                 sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 4000\n\
                 sentinel parallel-syncs {name} 2\n{secure}{lines}\n",
                folder.path().display()
            );
            std::fs::write(&file, configuration).expect("the configuration of a sentinel");
            let mut sentinel = Self {
                port,
                tls_port,
                process: spawn(&file),
                _folder: folder,
            };
            if sentinel.is_ready() {
                return sentinel;
            }
        }
        panic!("a sentinel does not start");
    }

    fn is_ready(&mut self) -> bool {
        poll("a sentinel starts", DEADLINE, || {
            if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Some(false);
            }
            self.known().map(|_| true)
        })
    }

    fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> redis::RedisResult<T> {
        let client = redis::Client::open(("127.0.0.1", self.port))?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        command.query(&mut connection)
    }

    /// How many replicas and how many other sentinels it knows.
    fn known(&self) -> Option<(usize, usize)> {
        let mut command = redis::cmd("SENTINEL");
        let fields: Vec<String> = self.ask(command.arg(&["MASTER", MASTER_NAME])).ok()?;
        let number = |name: &str| -> Option<usize> {
            let at = fields.iter().step_by(2).position(|field| field == name)?;
            fields.get(2 * at + 1)?.parse().ok()
        };
        Some((number("num-slaves")?, number("num-other-sentinels")?))
    }

    fn primary_port(&self) -> Option<u16> {
        let mut command = redis::cmd("SENTINEL");
        let address: Option<(String, u16)> = self.ask(command.arg(&["GET-MASTER-ADDR-BY-NAME", MASTER_NAME])).ok()?;
        Some(address?.1)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(configuration: &PathBuf) -> Child {
    Command::new(redis_program())
        .arg(configuration)
        .arg("--sentinel")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a sentinel starts")
}

fn signal(process: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "signal a sentinel");
}
