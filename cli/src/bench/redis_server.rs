//! A private Redis: without persistence, gone with the benchmark.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::Connection;
use secrecy::{ExposeSecret as _, SecretString};

use super::{failed, machine};
use crate::error::CliError;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The Redis of a run.
pub(super) struct Redis {
    url: SecretString,
    process: Option<Child>,
}

impl Redis {
    /// The one that is given, or a private one on these cores.
    pub(super) fn open(url: Option<&SecretString>, cores: &[usize]) -> Result<Self, CliError> {
        match url {
            Some(url) => Ok(Self {
                url: url.clone(),
                process: None,
            }),
            None => Self::start(cores),
        }
    }

    fn start(cores: &[usize]) -> Result<Self, CliError> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        drop(listener);
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.map_err(|error| {
            CliError::usage_with_hint(
                format!("redis-server cannot be started: {error}"),
                "install Redis 7.0 or later, or name a running one with --redis-url",
            )
        })?;
        let redis = Self {
            url: format!("redis://127.0.0.1:{port}").into(),
            process: Some(child),
        };
        machine::pin(redis.process_id(), cores).map_err(failed)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match redis.connection() {
                Ok(_) => return Ok(redis),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Where it is.
    pub(super) fn url(&self) -> &SecretString {
        &self.url
    }

    /// Whether it is the benchmark's own.
    pub(super) fn is_private(&self) -> bool {
        self.process.is_some()
    }

    /// Of a private one.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// A section of `INFO`, as names and values.
    pub(super) fn info(&self, section: &str) -> Result<Vec<(String, String)>, CliError> {
        let mut connection = self.connection()?;
        let text: String = redis::cmd("INFO").arg(section).query(&mut connection).map_err(failed)?;
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        Ok(lines
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect())
    }

    /// A number of `INFO memory`.
    pub(super) fn used_memory(&self) -> Result<u64, CliError> {
        let info = self.info("memory")?;
        let used = info.iter().find(|(name, _)| name == "used_memory");
        used.and_then(|(_, value)| value.parse().ok())
            .ok_or_else(|| failed("Redis does not tell used_memory"))
    }

    /// Starts counting anew.
    pub(super) fn reset_stats(&self) -> Result<(), CliError> {
        let mut connection = self.connection()?;
        redis::cmd("CONFIG")
            .arg("RESETSTAT")
            .exec(&mut connection)
            .map_err(failed)
    }

    fn connection(&self) -> Result<Connection, CliError> {
        let client = redis::Client::open(self.url.expose_secret()).map_err(failed)?;
        client
            .get_connection_with_timeout(Duration::from_secs(2))
            .map_err(failed)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
