//! What is measured: started here, each in a process of its own, or given by address.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::ops::Range;
use std::process::{Child, ChildStdin, Command, Stdio};

use tokenbind_index::Namespace;
use tokenbind_issuer::Issuer;

use super::args::{Format, MachineArgs, TargetArgs};
use super::credentials::{self, Credentials};
use super::echo::Canned;
use super::failed;
use super::fill::{self, Filled};
use super::redis_server::Redis;
use super::worker::{IndexConfig, Role, Serving, WorkerConfig};
use crate::error::CliError;

/// Room for every token of a run in the validator, by default.
const CACHE_BYTES: u64 = 4 << 30;

/// A process that serves.
pub(super) struct Worker {
    address: SocketAddr,
    process: Child,
    /// It ends with this.
    _stdin: ChildStdin,
}

/// A server, ours or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Where it is a process of this machine that the benchmark started.
    pub(super) process: Option<u32>,
}

/// Everything that is measured.
pub(super) struct Stack {
    machine: MachineArgs,
    given: TargetArgs,
    own: Option<Own>,
    workers: Vec<Worker>,
    /// Whether each service has a core of its own.
    spread: bool,
    pub(super) credentials: Credentials,
}

/// What there is only where the benchmark starts the services itself.
struct Own {
    redis: Redis,
    namespace: Namespace,
    issuer: Issuer,
}

impl Stack {
    /// Prepares it: with a Redis and everything declared, but no service started yet.
    pub(super) async fn new(target: &TargetArgs, machine: &MachineArgs, format: Format) -> Result<Self, CliError> {
        let own = match target.issuer {
            Some(_) => None,
            None => Some(Own::new(target, machine).await?),
        };
        Ok(Self {
            machine: machine.clone(),
            given: target.clone(),
            own,
            workers: Vec::new(),
            spread: false,
            credentials: Credentials::new(target, format),
        })
    }

    /// Gives each service that is started from now on one core, in turn, instead of all.
    pub(super) fn spread(&mut self) {
        self.spread = true;
    }

    /// The issuer.
    pub(super) fn issuer(&mut self) -> Result<Server, CliError> {
        if let Some(address) = self.given.issuer {
            return Ok(Server { address, process: None });
        }
        let role = Role::Issuer(self.index()?);
        self.start(role, self.server_cores())
    }

    /// A validator that keeps as many tokens; the first, second… of those that are given.
    pub(super) fn validator(&mut self, number: usize, entries: u64) -> Result<Server, CliError> {
        if self.given.issuer.is_some() {
            let address = self.given.validator.get(number).copied();
            let address = address.ok_or_else(|| CliError::usage("--validator: too few addresses"))?;
            return Ok(Server { address, process: None });
        }
        let role = Role::Validator(self.index()?, entries, CACHE_BYTES);
        self.start(role, self.server_cores())
    }

    /// The bare service.
    pub(super) fn echo(&mut self, canned: Canned) -> Result<Server, CliError> {
        self.start(Role::Echo(canned), self.server_cores())
    }

    /// Live tokens: of as many users where the index is the benchmark's, of as many slots of the given application otherwise.
    /// Where there is one already, a JWT supersedes it.
    pub(super) async fn fill(&self, format: Format, numbers: Range<u64>) -> Result<Vec<Filled>, CliError> {
        match (&self.own, self.given.issuer) {
            (Some(own), _) => fill::own(&own.issuer, format, numbers, &self.credentials).await,
            (None, Some(address)) => fill::from_issuer(address, numbers, &self.credentials).await,
            (None, None) => Err(failed("there is neither an index nor an issuer")),
        }
    }

    /// The Redis, where the benchmark knows it.
    pub(super) fn redis(&self) -> Option<&Redis> {
        self.own.as_ref().map(|own| &own.redis)
    }

    fn index(&self) -> Result<IndexConfig, CliError> {
        let own = self.own.as_ref().ok_or_else(|| failed("there is no index"))?;
        Ok(IndexConfig::new(own.redis.url(), &own.namespace))
    }

    fn server_cores(&self) -> Vec<usize> {
        let cores = &self.machine.server_cores;
        match (self.machine.no_pin, self.spread) {
            (true, _) => Vec::new(),
            (false, false) => cores.clone(),
            (false, true) => cores
                .get(self.workers.len() % cores.len().max(1))
                .copied()
                .into_iter()
                .collect(),
        }
    }

    fn start(&mut self, role: Role, cores: Vec<usize>) -> Result<Server, CliError> {
        let worker = Worker::start(&WorkerConfig {
            role,
            cores,
            runtime: self.machine.runtime,
        })?;
        let server = Server {
            address: worker.address,
            process: Some(worker.process.id()),
        };
        self.workers.push(worker);
        Ok(server)
    }
}

impl Own {
    async fn new(target: &TargetArgs, machine: &MachineArgs) -> Result<Self, CliError> {
        let cores: &[usize] = if machine.no_pin { &[] } else { &machine.redis_cores };
        let redis = Redis::open(target.redis_url.as_ref(), cores)?;
        let name = if redis.is_private() {
            "tokenbind".to_owned()
        } else {
            format!("tokenbind-bench-{}", std::process::id())
        };
        let namespace = Namespace::parse(&name).map_err(failed)?;
        let issuer = fill::issuer(redis.url(), &namespace).await?;
        let seeded = credentials::catalog()?.seed(issuer.store.as_ref()).await;
        seeded.map_err(failed)?;
        issuer.publish_keys().await.map_err(failed)?;
        Ok(Self {
            redis,
            namespace,
            issuer,
        })
    }
}

impl Worker {
    fn start(config: &WorkerConfig) -> Result<Self, CliError> {
        let program = std::env::current_exe().map_err(failed)?;
        let mut process = Command::new(program)
            .arg("bench-worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it logs costs what it costs elsewhere; where it goes to is not measured.
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut stdin = process.stdin.take().ok_or_else(|| failed("no standard input"))?;
        let stdout = process.stdout.take().ok_or_else(|| failed("no standard output"))?;
        let line = serde_json::to_string(config).map_err(failed)?;
        writeln!(stdin, "{line}").map_err(failed)?;
        let mut answer = String::new();
        BufReader::new(stdout).read_line(&mut answer).map_err(failed)?;
        let serving: Serving = serde_json::from_str(&answer)
            .map_err(|_| failed("a service does not start; `tokenbind dev` may tell more of why"))?;
        Ok(Self {
            address: serving.address,
            process,
            _stdin: stdin,
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
