//! The index of the development stack.

use std::sync::Arc;

use secrecy::SecretString;
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::redis::{ConnectError, RedisIndex, RedisOptions};
use tokenbind_index::{Clock, Namespace, Store};

use crate::error::CliError;

/// Opens Redis, or an index in memory.
pub(super) async fn open(
    redis_url: Option<SecretString>,
    namespace: &Namespace,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Store>, CliError> {
    let Some(url) = redis_url else {
        return Ok(Arc::new(MemoryIndex::new(Arc::clone(clock))));
    };
    let options = RedisOptions::new(url, namespace.clone());
    match RedisIndex::connect(&options).await {
        Ok(index) => Ok(Arc::new(index)),
        Err(error @ ConnectError::Unreachable(_)) => Err(CliError::Unavailable {
            message: error.to_string(),
            hint: "is it running where --redis-url says? without that option the index is in memory".to_owned(),
        }),
        Err(error) => Err(CliError::usage(format!("--redis-url: {error}"))),
    }
}
