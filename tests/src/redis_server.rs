//! A Redis or Valkey of a test's own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server with an empty store.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    durable: bool,
    port: u16,
    folder: TempDir,
    process: Child,
}

impl RedisServer {
    /// Starts the `redis-server` of the machine, without persistence.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub fn start() -> Self {
        Self::start_program(program("TOKENBIND_TEST_REDIS_SERVER", "redis-server"), false)
    }

    /// The same with everything that it acknowledged on disk: killed and started again, it has lost nothing.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub fn start_durable() -> Self {
        Self::start_program(program("TOKENBIND_TEST_REDIS_SERVER", "redis-server"), true)
    }

    /// Starts a Valkey, without persistence.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub fn start_valkey() -> Self {
        Self::start_program(program("TOKENBIND_TEST_VALKEY_SERVER", "valkey-server"), false)
    }

    fn start_program(program: PathBuf, durable: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // A port that is free now may be taken a moment later: then the server ends at once, and another is tried.
        for _ in 0..20 {
            let port = free_port();
            let mut process = spawn(&program, durable, port, &folder);
            if wait_until_ready(&mut process, port) {
                return Self {
                    program,
                    durable,
                    port,
                    folder,
                    process,
                };
            }
        }
        panic!("{} does not start", program.display());
    }

    /// `redis://…` of the server.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection for the test itself.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn connection(&self) -> redis::Connection {
        connect(self.port).expect("the test's Redis answers")
    }

    /// Kills the server; unless it is durable, everything in it is lost.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.process.kill().expect("kill the test's Redis");
        self.process.wait().expect("the test's Redis ends");
    }

    /// Starts it again on the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.process = spawn(&self.program, self.durable, self.port, &self.folder);
        assert!(
            wait_until_ready(&mut self.process, self.port),
            "the test's Redis starts again"
        );
    }

    /// Makes it a replica of another one, and waits until it has everything.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn follow(&self, primary: &Self) {
        // By default a primary waits for further replicas before it begins.
        redis::cmd("CONFIG")
            .arg(&["SET", "repl-diskless-sync-delay", "0"])
            .exec(&mut primary.connection())
            .expect("configure the primary");
        redis::cmd("REPLICAOF")
            .arg("127.0.0.1")
            .arg(primary.port)
            .exec(&mut self.connection())
            .expect("follow the primary");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.info("replication").contains("master_link_status:up") {
            assert!(Instant::now() < deadline, "the replica does not follow");
            std::thread::yield_now();
        }
    }

    /// A section of what it says of itself.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn info(&self, section: &str) -> String {
        let info = redis::cmd("INFO").arg(section).query(&mut self.connection());
        info.expect("what a Redis says of itself")
    }

    /// Stops it in the middle of whatever it does (SIGSTOP).
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.process.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "signal the test's Redis");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
}

/// A port that nothing listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn spawn(program: &PathBuf, durable: bool, port: u16, folder: &TempDir) -> Child {
    Command::new(program)
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendfsync",
            "always",
            "--appendonly",
            if durable { "yes" } else { "no" },
        ])
        .arg("--dir")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}; `scripts/test` installs what the tests need",
                program.display()
            )
        })
}

fn wait_until_ready(process: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if process.try_wait().is_ok_and(|ended| ended.is_some()) {
            return false;
        }
        // The server must be ours: another's on the same port has another process id.
        let ours = connect(port).and_then(|mut connection| {
            let info: String = redis::cmd("INFO").arg("server").query(&mut connection)?;
            Ok(info.contains(&format!("process_id:{}\r", process.id())))
        });
        if ours.unwrap_or(false) {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

fn connect(port: u16) -> redis::RedisResult<redis::Connection> {
    redis::Client::open(("127.0.0.1", port))?.get_connection_with_timeout(Duration::from_secs(1))
}
