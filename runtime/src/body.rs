//! Bodies of requests: all that are being read hold a bounded number of bytes together.
//!
//! The limit of each alone is not enough: as many large ones as calls are allowed at once, sent slowly by whoever need not even prove
//! who they are, would be more memory than a pod has.

use crate::rpc::Refusal;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tonic::Status;

/// What a body may hold without being counted: nearly every one stays below, and then nothing is shared between threads.
const FREE_BYTES: usize = 16 << 10;
/// How many of the largest bodies there is room for.
const LARGEST: usize = 32;

/// What all bodies may hold together, in bytes. Clones share it.
#[derive(Clone)]
pub(crate) struct BodyBudget {
    taken: Arc<AtomicUsize>,
    most: usize,
}

impl BodyBudget {
    pub(crate) fn new(max_message_bytes: usize) -> Self {
        Self {
            taken: Arc::default(),
            most: max_message_bytes.saturating_mul(LARGEST),
        }
    }

    /// A body that counts.
    pub(crate) fn count<B>(&self, body: B) -> CountedBody<B> {
        CountedBody {
            body,
            budget: self.clone(),
            read: 0,
            taken: 0,
        }
    }
}

/// A body whose bytes count until it was read or given up.
pub(crate) struct CountedBody<B> {
    body: B,
    budget: BodyBudget,
    read: usize,
    taken: usize,
}

/// All bodies together hold too much.
#[derive(Debug)]
pub(crate) struct Exhausted(Status);

impl Exhausted {
    /// Whether an error has this for its reason.
    pub(crate) fn is_behind(error: &(dyn Error + 'static)) -> bool {
        let mut behind = Some(error);
        while let Some(error) = behind {
            if error.is::<Self>() {
                return true;
            }
            behind = error.source();
        }
        false
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much is being sent at once")
    }
}

impl Error for Exhausted {
    /// Where tonic looks for what to answer.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl<B> CountedBody<B> {
    fn take(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.read = self.read.saturating_add(bytes);
        let more = self.read.saturating_sub(FREE_BYTES) - self.taken;
        if more == 0 {
            return Ok(());
        }
        // Given back by the drop, whatever comes of it.
        self.taken += more;
        let before = self.budget.taken.fetch_add(more, Ordering::Relaxed);
        (before.saturating_add(more) <= self.budget.most)
            .then_some(())
            .ok_or_else(|| Exhausted(Refusal::Overloaded.into()))
    }
}

impl<B> Drop for CountedBody<B> {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.budget.taken.fetch_sub(self.taken, Ordering::Relaxed);
        }
    }
}

impl<B> HttpBody for CountedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map(|frame| {
            frame.map(|frame| {
                let frame = frame.map_err(Into::into)?;
                if let Some(data) = frame.data_ref() {
                    self.take(data.len())?;
                }
                Ok(frame)
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    async fn read(budget: &BodyBudget, bytes: usize) -> (CountedBody<Full<Bytes>>, Result<(), axum::BoxError>) {
        let mut body = budget.count(Full::new(Bytes::from(vec![0; bytes])));
        let outcome = body.frame().await.unwrap().map(drop);
        (body, outcome)
    }

    #[tokio::test]
    async fn large_bodies_share_what_there_is_and_small_ones_need_nothing() {
        let budget = BodyBudget::new(FREE_BYTES);
        let full = FREE_BYTES * (LARGEST + 1);
        let (held, outcome) = read(&budget, full).await;
        outcome.unwrap();
        let refused = read(&budget, FREE_BYTES + 1).await.1.unwrap_err();
        assert!(Exhausted::is_behind(refused.as_ref()), "{refused}");
        let status = Status::from_error(refused);
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        read(&budget, FREE_BYTES).await.1.unwrap();
        drop(held);
        read(&budget, full).await.1.unwrap();
        assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
    }
}
