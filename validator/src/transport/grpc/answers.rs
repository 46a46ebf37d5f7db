//! The answers of a call that stays open.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::Status;
use tracing::Instrument as _;

/// Answers as they come from a task of their own.
///
/// A task, because the body of an answer is only polled while its reader takes it, and a question that nobody polls would
/// keep others waiting that ask for the same token. It ends with the answers: when the caller is gone, they are dropped.
#[derive(Debug)]
pub struct Answers<T> {
    received: mpsc::Receiver<T>,
    /// Empty once its end was told.
    work: Option<JoinHandle<Result<(), Status>>>,
}

impl<T: Send + 'static> Answers<T> {
    /// Runs `work`, which sends its answers, and at most `open` that were not taken yet. What it returns ends the stream.
    pub(crate) fn of<F>(open: usize, work: impl FnOnce(mpsc::Sender<T>) -> F) -> Self
    where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (sender, received) = mpsc::channel(open);
        let work = tokio::spawn(work(sender).in_current_span());
        Self {
            received,
            work: Some(work),
        }
    }
}

impl<T> Stream for Answers<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(answer) = ready!(self.received.poll_recv(context)) {
            return Poll::Ready(Some(Ok(answer)));
        }
        let Some(work) = &mut self.work else {
            return Poll::Ready(None);
        };
        let ended = ready!(Pin::new(work).poll(context));
        self.work = None;
        // The panic hook has told the log.
        let ended = ended.unwrap_or_else(|_| Err(Status::internal("internal error")));
        Poll::Ready(ended.err().map(Err))
    }
}

impl<T> Drop for Answers<T> {
    fn drop(&mut self) {
        if let Some(work) = &self.work {
            work.abort();
        }
    }
}
