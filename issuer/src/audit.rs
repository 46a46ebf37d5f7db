//! Keeps the audit trail in a Redis stream, never in the way of a call.

use std::time::Duration;

use tokenbind_index::redis::RedisIndex;
use tokenbind_runtime::audit::Fields;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How many events are written before a failure is noticed.
const BATCH: usize = 64;
/// How long a Redis that refused is left alone. Meanwhile events wait, up to the room of the tap.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the last events may hold up the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Writes events until it is told to finish.
#[derive(Debug)]
pub struct AuditWriter {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl AuditWriter {
    /// Writes what `events` brings into the stream of the index, of which about so many entries are kept.
    pub fn start(index: RedisIndex, entries: u64, events: Receiver<Fields>) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(write(index, entries, events, stop.clone()));
        Self { stop, task }
    }

    /// Writes what is waiting, for a second at most.
    pub async fn finish(self) {
        self.stop.cancel();
        if timeout(FLUSH_TIMEOUT, self.task).await.is_err() {
            tracing::warn!("the last audit events could not be written to the stream");
        }
    }
}

async fn write(index: RedisIndex, entries: u64, mut events: Receiver<Fields>, stop: CancellationToken) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            taken = events.recv_many(&mut batch, BATCH) => if taken == 0 { return },
            () = stop.cancelled() => return,
        }
        let mut failing = false;
        while let Err(error) = index.append_audit(&batch, entries).await {
            if !failing {
                tracing::warn!(%error, "audit events cannot be written to the stream; they wait");
            }
            failing = true;
            sleep(PAUSE).await;
        }
        batch.clear();
    }
}
