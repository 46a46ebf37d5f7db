//! The audit trail as a stream in Redis.

use super::RedisIndex;
use crate::error::IndexError;

impl RedisIndex {
    /// Appends events to the stream `<namespace>:audit`, which keeps about so many of the newest entries. Each entry has the store's
    /// time in its id.
    ///
    /// # Errors
    /// Those of the store; then some of the events may be there.
    pub async fn append_audit(&self, events: &[Vec<(&'static str, String)>], entries: u64) -> Result<(), IndexError> {
        let key = self.keys.audit();
        for fields in events {
            let mut command = redis::cmd("XADD");
            command.arg(&key).arg("MAXLEN").arg("~").arg(entries).arg("*");
            for (name, value) in fields {
                command.arg(name).arg(value);
            }
            let _id: String = self.on_key(&key, &command).await?;
        }
        Ok(())
    }
}
