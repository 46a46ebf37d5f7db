//! What was used up, in Redis.

use std::time::Duration;

use async_trait::async_trait;

use super::{RedisIndex, index_error};
use crate::error::IndexError;
use crate::single_use::{SingleUse, UseDigest, remember_ms};

#[async_trait]
impl SingleUse for RedisIndex {
    async fn consume(&self, what: UseDigest, remember: Duration) -> Result<bool, IndexError> {
        let stored: Option<String> = redis::cmd("SET")
            .arg(self.keys.used(what))
            .arg(1)
            .arg("NX")
            .arg("PX")
            .arg(remember_ms(remember))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(|error| index_error(&error))?;
        Ok(stored.is_some())
    }
}
