//! Answers calls on the task of their connection.
//!
//! hyper has a task spawned for each call over HTTP/2. Most calls are answered without waiting for anything, and then a task of
//! their own costs more than it gives. So calls are taken together as they were read, each is polled once, and the answers go out
//! together; only what has to wait gets a task.

use hyper::rt::Executor;
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The calls of a connection that were read and not begun.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    /// Only the task of the connection looks at them; hyper wants to be able to do so from anywhere.
    read: Arc<Mutex<Vec<Call>>>,
    /// Where threads share the work, each call is a task.
    shared: bool,
}

impl<F> Executor<F> for Calls
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        if self.shared {
            tokio::spawn(call);
        } else {
            self.read().push(Box::pin(call));
        }
    }
}

impl Calls {
    /// For a runtime whose threads share the work: each call has a task.
    pub(crate) fn shared() -> Self {
        Self {
            shared: true,
            ..Self::default()
        }
    }

    /// Drives a connection that these calls come from. In each turn it is polled, what was read is begun, and it is polled again to
    /// write the answers; what was read then is for the next turn, because others wait for theirs.
    pub(crate) async fn drive<C: Future>(&self, mut connection: Pin<&mut C>) -> C::Output {
        let mut batch = Vec::new();
        poll_fn(|context| {
            if let Poll::Ready(outcome) = connection.as_mut().poll(context) {
                return Poll::Ready(outcome);
            }
            if !self.begin(&mut batch) {
                return Poll::Pending;
            }
            let polled = connection.as_mut().poll(context);
            if polled.is_pending() && !self.read().is_empty() {
                context.waker().wake_by_ref();
            }
            polled
        })
        .await
    }

    /// Polls each once; `false` where there was none.
    fn begin(&self, batch: &mut Vec<Call>) -> bool {
        std::mem::swap(batch, &mut *self.read());
        let some = !batch.is_empty();
        for mut call in batch.drain(..) {
            // What it waits for is told of a better waker when its task polls it.
            if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                tokio::spawn(call);
            }
        }
        some
    }

    fn read(&self) -> MutexGuard<'_, Vec<Call>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use tokio::sync::oneshot;

    /// A connection that two calls come from, and a third one when it is polled again to write what the first is answered.
    #[tokio::test]
    async fn what_was_read_is_begun() {
        let calls = Calls::default();
        let (tell, told): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let mut tell = tell.into_iter();
        let mut polls = 0;
        let connection = poll_fn(|_| {
            polls += 1;
            let poll = polls;
            for tell in tell.by_ref().take(if poll == 1 { 2 } else { 1 }) {
                calls.execute(async move { tell.send(poll).unwrap() });
            }
            Poll::<()>::Pending
        });
        let mut connection = pin!(connection);
        let mut driving = pin!(calls.drive(connection.as_mut()));
        let begun = async {
            let mut read_at = Vec::new();
            for told in told {
                read_at.push(told.await.unwrap());
            }
            read_at
        };
        tokio::select! {
            () = &mut driving => panic!("a connection does not end"),
            read_at = begun => assert_eq!(read_at, [1, 1, 2]),
        }
    }

    #[tokio::test]
    async fn threads_share_calls_as_tasks() {
        let calls = Calls::shared();
        let (tell, told) = oneshot::channel();
        calls.execute(async { tell.send(()).unwrap() });
        assert!(!calls.begin(&mut Vec::new()));
        assert_eq!(told.await, Ok(()));
    }

    #[tokio::test]
    async fn what_waits_gets_a_task() {
        let calls = Calls::default();
        let (wake, woken) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        calls.execute(async {
            woken.await.unwrap();
            tell.send(()).unwrap();
        });
        assert!(calls.begin(&mut Vec::new()) && !calls.begin(&mut Vec::new()));
        wake.send(()).unwrap();
        assert_eq!(told.await, Ok(()));
    }
}
