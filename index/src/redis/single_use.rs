//! What was used up, in Redis.

use std::time::Duration;

use async_trait::async_trait;

use super::RedisIndex;
use crate::error::IndexError;
use crate::single_use::{SingleUse, UseDigest, remember_ms};

#[async_trait]
impl SingleUse for RedisIndex {
    async fn consume(&self, what: UseDigest, remember: Duration) -> Result<bool, IndexError> {
        let key = self.keys.used(what);
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(1).arg("NX").arg("PX").arg(remember_ms(remember));
        let stored: Option<String> = self.on_key(&key, &command).await?;
        Ok(stored.is_some())
    }
}
