//! Connecting, and refusing a Redis that cannot keep the index's promises.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{Client, IntoConnectionInfo as _, ProtocolVersion};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use super::attempts::AttemptScripts;
use super::keys::Keys;
use super::lanes::Lanes;
use super::promise::{Acknowledgement, Promises};
use super::scripts::Scripts;
use super::store_clock::StoreClock;
use super::{RedisIndex, is_refusal};
use crate::namespace::Namespace;

/// How much of the time-out of an answer Redis has to begin with what it was sent: the rest is for the way.
const PATIENCE: f64 = 0.8;

/// How to reach the index.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `redis://[user[:password]@]host[:port][/database]`; may hold a password.
    pub url: SecretString,
    /// What the keys begin with.
    pub namespace: Namespace,
    /// How long an operation may wait for its answer.
    pub response_timeout: Duration,
    /// How long a connection may take to be made.
    pub connection_timeout: Duration,
    /// How many replicas have to have a revocation before it is answered (R6). `None`: the primary's word is enough.
    pub acknowledgement: Option<Acknowledgement>,
}

impl RedisOptions {
    /// Whether a URL is one that can be connected to, before anything is.
    ///
    /// # Errors
    /// [`ConnectError::Url`], which does not repeat the URL.
    pub fn check_url(url: &SecretString) -> Result<(), ConnectError> {
        if url.expose_secret().starts_with("rediss:") {
            return Err(ConnectError::Url("TLS to Redis is not in this version".to_owned()));
        }
        let info = url.expose_secret().into_connection_info();
        info.map(drop).map_err(|error| ConnectError::Url(error.to_string()))
    }

    /// The usual: 1 second for an answer, 1 second for a connection, no replicas.
    pub fn new(url: SecretString, namespace: Namespace) -> Self {
        let second = Duration::from_secs(1);
        Self {
            url,
            namespace,
            response_timeout: second,
            connection_timeout: second,
            acknowledgement: None,
        }
    }
}

/// Why the index cannot be used. The texts name no password.
#[derive(Clone, Debug, Error)]
pub enum ConnectError {
    /// The URL is not one of Redis.
    #[error("the Redis URL is not valid: {0}; write redis://[user[:password]@]host[:port][/database]")]
    Url(String),
    /// Redis does not answer.
    #[error("cannot connect to Redis: {0}")]
    Unreachable(String),
    /// Redis refuses the credentials, or what their user must be able to do.
    #[error("Redis refuses the user of the URL: {0}")]
    Refused(String),
    /// Redis is older than 7.0.
    #[error("Redis {0} is too old: tokenbind needs 7.0 or later, or Valkey")]
    TooOld(String),
    /// Redis would drop live tokens when it is full.
    #[error(
        "Redis evicts keys when it is full (maxmemory-policy {0}), so live tokens could vanish; \
         set `maxmemory-policy noeviction`"
    )]
    Evicts(String),
}

impl RedisIndex {
    /// Connects and checks what it finds.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(options: &RedisOptions) -> Result<Self, ConnectError> {
        let index = Self::unchecked(options)?;
        index.check().await?;
        Ok(index)
    }

    /// The same for a Redis that may come up later. Until it was reached and checked, every operation is unavailable; a
    /// ping tries again.
    ///
    /// # Errors
    /// See [`ConnectError`]; never [`ConnectError::Unreachable`].
    pub async fn connect_lazily(options: &RedisOptions) -> Result<Self, ConnectError> {
        let index = Self::unchecked(options)?;
        match index.check().await {
            Err(ConnectError::Unreachable(error)) => tracing::warn!(%error, "Redis is not up yet"),
            checked => checked?,
        }
        Ok(index)
    }

    fn unchecked(options: &RedisOptions) -> Result<Self, ConnectError> {
        Ok(Self {
            lanes: Arc::new(Lanes::new(options)?),
            checked: Arc::default(),
            promises: Promises::new(options)?,
            keys: Keys::new(options.namespace.clone()),
            clock: Arc::new(StoreClock::new()),
            patience: options.response_timeout.mul_f64(PATIENCE),
            scripts: Arc::new(Scripts::new()),
            attempts: Arc::new(AttemptScripts::new()),
        })
    }

    /// Looks whether this Redis can keep the promises of an index.
    pub(super) async fn check(&self) -> Result<(), ConnectError> {
        let connection = self.lanes.connection().await;
        let mut connection = connection.map_err(|error| failed(&error))?;
        let info: Result<String, _> = redis::cmd("INFO").query_async(&mut connection).await;
        check(&info.map_err(|error| failed(&error))?)?;
        // Loaded before the first request, so that none pays for it; a restarted Redis gets them again when it misses them.
        for script in self.scripts.all().into_iter().chain(self.attempts.all()) {
            match script.load_async(&mut connection).await {
                // The user of a validator may only read, and needs none of them.
                Err(error) if is_refusal(&error) => break,
                loaded => drop(loaded.map_err(|error| failed(&error))?),
            }
        }
        self.checked.store(true, Ordering::Release);
        Ok(())
    }
}

/// A client of the URL; the texts of its errors hold no password.
pub(super) fn client(options: &RedisOptions, protocol: ProtocolVersion) -> Result<Client, ConnectError> {
    let url = |error: redis::RedisError| ConnectError::Url(error.to_string());
    let info = options.url.expose_secret().into_connection_info().map_err(url)?;
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let protocol = info.redis_settings().clone().set_protocol(protocol);
    Client::open(info.set_tcp_settings(tcp).set_redis_settings(protocol)).map_err(url)
}

fn failed(error: &redis::RedisError) -> ConnectError {
    let text = error.to_string();
    if is_refusal(error) {
        ConnectError::Refused(text)
    } else {
        ConnectError::Unreachable(text)
    }
}

fn check(info: &str) -> Result<(), ConnectError> {
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim()
    };
    let version = field("redis_version");
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(0);
    if major < 7 {
        return Err(ConnectError::TooOld(version.to_owned()));
    }
    match field("maxmemory_policy") {
        "noeviction" | "" => Ok(()),
        policy => Err(ConnectError::Evicts(policy.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_or_evicting_redis_is_refused() {
        let info = |version: &str, policy: &str| {
            format!("# Server\r\nredis_version:{version}\r\nmaxmemory_policy:{policy}\r\n")
        };
        assert!(check(&info("7.0.15", "noeviction")).is_ok());
        assert!(matches!(
            check(&info("6.2.1", "noeviction")),
            Err(ConnectError::TooOld(_))
        ));
        for policy in ["allkeys-lru", "volatile-ttl", "volatile-lru", "allkeys-random"] {
            assert!(
                matches!(check(&info("7.4.0", policy)), Err(ConnectError::Evicts(_))),
                "{policy}"
            );
        }
    }
}
