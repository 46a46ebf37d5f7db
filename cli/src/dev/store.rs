//! The index of the development stack.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::redis::{ConnectError, RedisIndex, RedisOptions, RedisTracking};
use tokenbind_index::{AttemptCounters, Clock, Namespace, Store, TrackedIndex};

use crate::error::CliError;

/// As the validator's default.
const LEASE: Duration = Duration::from_secs(2);

/// The index, and what tells its changes.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) tracking: Arc<dyn TrackedIndex>,
    pub(super) attempts: Arc<dyn AttemptCounters>,
}

/// Opens Redis, or an index in memory.
pub(super) async fn open(
    redis_url: Option<SecretString>,
    namespace: &Namespace,
    clock: &Arc<dyn Clock>,
) -> Result<Opened, CliError> {
    let Some(url) = redis_url else {
        let memory = Arc::new(MemoryIndex::new(Arc::clone(clock)));
        return Ok(Opened {
            store: memory.clone(),
            attempts: memory.clone(),
            tracking: memory,
        });
    };
    let options = RedisOptions::new(url, namespace.clone());
    let index = RedisIndex::connect(&options).await;
    let opened = index.and_then(|index| {
        Ok(Opened {
            attempts: Arc::new(index.clone()),
            store: Arc::new(index),
            tracking: Arc::new(RedisTracking::start(&options, Arc::clone(clock), LEASE)?),
        })
    });
    match opened {
        Ok(opened) => Ok(opened),
        Err(error @ ConnectError::Unreachable(_)) => Err(CliError::Unavailable {
            message: error.to_string(),
            hint: "is it running where --redis-url says? without that option the index is in memory".to_owned(),
        }),
        Err(error) => Err(CliError::usage(format!("--redis-url: {error}"))),
    }
}
