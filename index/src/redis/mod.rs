//! The index in Redis (from 7.0 on) or Valkey.
//!
//! Each operation is one script or one command on a multiplexed connection of its runtime to whoever has its key; see `keys` and
//! `scripts` for what is stored, and `topology` for who that is. A lost connection is made again by the next operation. While
//! Redis is away, each operation fails with [`IndexError::Unavailable`] within the time-out; none is tried again here, because
//! the caller alone knows whether a second write is right. Only what a server refused, because it is not the one to ask, is taken to
//! another one.

#[cfg(feature = "args")]
mod args;
mod ask;
mod attempts;
mod audit;
mod barrier;
mod check;
mod cluster;
mod connect;
mod connector;
mod deployment;
mod documents;
mod families;
mod health;
mod keys;
mod lanes;
mod options;
mod promise;
mod route;
mod scripts;
mod sentinel;
mod session;
mod single_use;
mod store_clock;
mod tokens;
mod topology;
mod tracking;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[cfg(feature = "args")]
pub use self::args::RedisArgs;
use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind};
pub use options::{Access, ConnectError, Credentials, Password, RedisOptions, TlsFiles};
pub use promise::Acknowledgement;
pub use tracking::RedisTracking;

use crate::error::IndexError;
use crate::store::Revision;
use attempts::AttemptScripts;
use keys::Keys;
use lanes::{Lane, Lanes};
use promise::Promises;
use route::{Operation, Touches};
use scripts::Scripts;
use topology::Topology;

/// An index in Redis. Clones share the connections.
#[derive(Clone)]
pub struct RedisIndex {
    topology: Arc<Topology>,
    lanes: Arc<Lanes>,
    /// Whether the Redis was found fit; before, nothing is asked of it.
    checked: Arc<AtomicBool>,
    /// For revocations, where more than the primary's word is wanted.
    promises: Option<Arc<Promises>>,
    keys: Keys,
    access: Access,
    /// For how long whoever asks waits for the answer; a little less, so that nothing is done that nobody hears of.
    patience: Duration,
    scripts: Arc<Scripts>,
    attempts: Arc<AttemptScripts>,
}

impl std::fmt::Debug for RedisIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisIndex")
    }
}

impl RedisIndex {
    /// Sends a command on one key.
    async fn on_key<T: FromRedisValue>(&self, key: &[u8], command: &Cmd) -> Result<T, IndexError> {
        let done = self.run(Touches::Key, key, Operation::Command(command)).await?;
        Ok(done.0)
    }

    /// Runs a script, on keys of which this is the first.
    async fn on_keys<T: FromRedisValue>(&self, first: &[u8], script: &ScriptInvocation<'_>) -> Result<T, IndexError> {
        let done = self.run(Touches::Keys, first, Operation::Script(script)).await?;
        Ok(done.0)
    }

    /// Runs a script that must not be run late, and answers also where.
    async fn in_time<'a, T: FromRedisValue>(
        &self,
        first: &[u8],
        script: &'a (dyn Fn(Option<Revision>) -> ScriptInvocation<'a> + Sync),
    ) -> Result<(T, Arc<Lane>), IndexError> {
        self.run(Touches::Keys, first, Operation::Timed(script, self.patience))
            .await
    }

    async fn run<T: FromRedisValue>(
        &self,
        touches: Touches,
        key: &[u8],
        operation: Operation<'_>,
    ) -> Result<(T, Arc<Lane>), IndexError> {
        self.fit()?;
        let done = route::run(&self.lanes, &self.topology, touches, key, operation).await;
        done.map_err(|error| index_error(&error))
    }

    /// Nothing is asked of a Redis that was not found fit.
    fn fit(&self) -> Result<(), IndexError> {
        if self.checked.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(IndexError::Unavailable("Redis has not been reached yet".to_owned()))
    }

    async fn check_once(&self) -> Result<(), IndexError> {
        if self.checked.load(Ordering::Acquire) {
            return Ok(());
        }
        self.check().await.map_err(unfit)
    }
}

fn unfit(error: ConnectError) -> IndexError {
    match error {
        ConnectError::Unreachable(error) => IndexError::Unavailable(error),
        unfit => IndexError::Misconfigured(unfit.to_string()),
    }
}

/// What an error means for whoever connects.
fn connect_error(error: &RedisError) -> ConnectError {
    let text = error.to_string();
    match (error.kind(), error.code()) {
        // Redis's own words are of the command that greets it.
        (_, Some("NOAUTH")) => ConnectError::Credentials(
            "it wants a user or a password, and got none (NOAUTH); give --redis-user and --redis-password-file"
                .to_owned(),
        ),
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => ConnectError::Credentials(
            "the password is wrong, or the user is not known or off (WRONGPASS); look at --redis-user, \
             --redis-password-file and the URL"
                .to_owned(),
        ),
        _ if is_refusal(error) => ConnectError::Refused(text),
        _ if text.contains("DB index is out of range") => {
            ConnectError::Unfit("it has no database of the number in the URL".to_owned())
        }
        (ErrorKind::InvalidClientConfig, _) => ConnectError::Files(text),
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => ConnectError::Unreachable(
            "what answers there does not speak as Redis does; is it the port of Redis?".to_owned(),
        ),
        _ => ConnectError::Unreachable(text),
    }
}

/// What an error of Redis means for the caller.
fn index_error(error: &RedisError) -> IndexError {
    let text = error.to_string();
    if error.code() == Some("OOM") || text.contains("OOM ") {
        return IndexError::Full(text);
    }
    if is_refusal(error) {
        return IndexError::Misconfigured(text);
    }
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::CrossSlot) | ErrorKind::InvalidClientConfig => {
            IndexError::Misconfigured(text)
        }
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => IndexError::Corrupt(text),
        // A script that needs a key of a slot that is on the move, or of a node that is cut off.
        ErrorKind::Server(ServerErrorKind::ResponseError) if text.contains("Script attempted to access") => {
            IndexError::Unavailable(text)
        }
        // A script fails by itself only where it reads what this version does not write.
        ErrorKind::Server(ServerErrorKind::ResponseError) if text.contains("user_script:") => IndexError::Corrupt(text),
        // Of a pipeline, the text alone has the code.
        _ if text.contains("WRONGTYPE") => IndexError::Corrupt(text),
        _ => IndexError::Unavailable(text),
    }
}

/// Redis answered, and refuses the credentials or what their user wants: waiting does not help.
fn is_refusal(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm)
    ) || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
}

fn corrupt(what: &str) -> IndexError {
    IndexError::Corrupt(what.to_owned())
}
