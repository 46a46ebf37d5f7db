//! The index in Redis (from 7.0 on) or Valkey.
//!
//! Each operation is one script or one command on the multiplexed connection of its runtime; see `keys` and `scripts` for what
//! is stored. A lost connection is made again by the next operation. While Redis is away, each operation fails with
//! [`IndexError::Unavailable`] within the time-out; none is tried again here, because the caller alone knows whether a
//! second write is right.

mod attempts;
mod audit;
mod barrier;
mod connect;
mod documents;
mod families;
mod keys;
mod lanes;
mod promise;
mod scripts;
mod single_use;
mod store_clock;
mod tokens;
mod tracking;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{ErrorKind, RedisError, ServerErrorKind};
pub use connect::{ConnectError, RedisOptions};
pub use promise::Acknowledgement;
pub use tracking::RedisTracking;

use crate::error::IndexError;
use attempts::AttemptScripts;
use keys::Keys;
use lanes::Lanes;
use promise::Promises;
use scripts::Scripts;
use store_clock::StoreClock;

/// An index in Redis. Clones share the connections.
#[derive(Clone)]
pub struct RedisIndex {
    lanes: Arc<Lanes>,
    /// Whether the Redis was found fit; before, nothing is asked of it.
    checked: Arc<AtomicBool>,
    /// For revocations, where more than the primary's word is wanted.
    promises: Option<Arc<Promises>>,
    keys: Keys,
    clock: Arc<StoreClock>,
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
    async fn connection(&self) -> Result<MultiplexedConnection, IndexError> {
        if self.checked.load(Ordering::Acquire) {
            return self.lanes.connection().await.map_err(|error| index_error(&error));
        }
        Err(IndexError::Unavailable("Redis has not been reached yet".to_owned()))
    }

    async fn check_once(&self) -> Result<(), IndexError> {
        if self.checked.load(Ordering::Acquire) {
            return Ok(());
        }
        self.check().await.map_err(|error| match error {
            ConnectError::Unreachable(error) => IndexError::Unavailable(error),
            unfit => IndexError::Misconfigured(unfit.to_string()),
        })
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
