//! A Redis or Valkey of a test's own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::IntoConnectionInfo as _;
use tempfile::TempDir;

/// A running server with an empty store.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    arguments: Vec<String>,
    credentials: Option<(String, String)>,
    port: u16,
    folder: TempDir,
    process: Child,
}

/// With everything that it acknowledged on disk.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

impl RedisServer {
    /// Starts the `redis-server` of the machine, without persistence.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further settings, as `redis-server` takes them.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_program(&redis_program(), arguments, None)
    }

    /// The same with users of its own: the test itself is this one, which may do everything.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub fn start_as(user: &str, password: &str, arguments: &[&str]) -> Self {
        let credentials = (user.to_owned(), password.to_owned());
        Self::start_program(&redis_program(), arguments, Some(&credentials))
    }

    /// The same with everything that it acknowledged on disk: killed and started again, it has lost nothing.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub fn start_durable() -> Self {
        Self::start_with(&DURABLE)
    }

    /// Starts a Valkey, without persistence.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub fn start_valkey() -> Self {
        Self::start_valkey_with(&[])
    }

    /// The same with further settings.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    pub fn start_valkey_with(arguments: &[&str]) -> Self {
        let valkey = program("TOKENBIND_TEST_VALKEY_SERVER", "valkey-server");
        Self::start_program(&valkey, arguments, None)
    }

    fn start_program(program: &Path, arguments: &[&str], credentials: Option<&(String, String)>) -> Self {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        // A port that is free now may be taken a moment later: then the server ends at once, and another is tried.
        for _ in 0..20 {
            let port = free_port();
            let folder = tempfile::tempdir().expect("a temporary folder");
            let process = spawn(program, &arguments, port, &folder);
            let mut server = Self {
                program: program.to_owned(),
                arguments: arguments.clone(),
                credentials: credentials.cloned(),
                port,
                folder,
                process,
            };
            if server.wait_until_ready() {
                return server;
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

    /// Whether its process has ended.
    pub fn is_dead(&mut self) -> bool {
        self.process.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// A connection for the test itself.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn connection(&self) -> redis::Connection {
        self.connect().expect("the test's Redis answers")
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
        self.process = spawn(&self.program, &self.arguments, self.port, &self.folder);
        assert!(self.wait_until_ready(), "the test's Redis starts again");
    }

    /// Makes it a replica of another one, and waits until it has everything.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn follow(&self, primary: &Self) {
        self.follow_at(primary, primary.port);
    }

    /// The same where the primary is to be found at another port of its own.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn follow_at(&self, primary: &Self, port: u16) {
        // By default a primary waits for further replicas before it begins.
        redis::cmd("CONFIG")
            .arg(&["SET", "repl-diskless-sync-delay", "0"])
            .exec(&mut primary.connection())
            .expect("configure the primary");
        redis::cmd("REPLICAOF")
            .arg("127.0.0.1")
            .arg(port)
            .exec(&mut self.connection())
            .expect("follow the primary");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.info("replication").contains("master_link_status:up") {
            assert!(Instant::now() < deadline, "the replica does not follow");
            std::thread::yield_now();
        }
    }

    /// `master` or `slave`, if it answers.
    pub fn role(&self) -> Option<String> {
        let mut connection = self.connect().ok()?;
        // A frozen one takes connections and says nothing.
        connection.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        let role: Vec<redis::Value> = redis::cmd("ROLE").query(&mut connection).ok()?;
        redis::from_redis_value(role.into_iter().next()?).ok()
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

    pub(crate) fn connect(&self) -> redis::RedisResult<redis::Connection> {
        let mut settings = redis::RedisConnectionInfo::default();
        if let Some((user, password)) = &self.credentials {
            settings = settings.set_username(user).set_password(password);
        }
        let info = ("127.0.0.1", self.port)
            .into_connection_info()?
            .set_redis_settings(settings);
        redis::Client::open(info)?.get_connection_with_timeout(Duration::from_secs(1))
    }

    fn wait_until_ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            // The server must be ours: another's on the same port has another process id.
            let ours = self.connect().and_then(|mut connection| {
                let info: String = redis::cmd("INFO").arg("server").query(&mut connection)?;
                Ok(info.contains(&format!("process_id:{}\r", self.process.id())))
            });
            if ours.unwrap_or(false) {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn redis_program() -> PathBuf {
    program("TOKENBIND_TEST_REDIS_SERVER", "redis-server")
}

fn program(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
}

/// A port that nothing listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn spawn(program: &Path, arguments: &[String], port: u16, folder: &TempDir) -> Child {
    Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .args(arguments)
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
