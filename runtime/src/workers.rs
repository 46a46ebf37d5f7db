//! Threads that serve, each with a runtime of its own.
//!
//! A call is read, answered and written on one thread, with no other thread woken for it: half as much again as one runtime
//! that is shared by all threads (docs/benchmarks). The thread that accepts gives each connection to the one that has the
//! fewest, so that a few that stay open for days are spread evenly, which `SO_REUSEPORT` does not promise.

use crate::{connection::Accepted, server::ServeError};
use futures::{Stream, StreamExt, stream};
use std::{future::Future, io, num::NonZeroUsize, sync::Arc, thread};
use tokio::{
    runtime,
    sync::{mpsc, oneshot},
};

/// As many as processors may be used, whatever limits them.
pub(crate) fn default_count() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

struct Worker {
    connections: mpsc::UnboundedSender<Accepted>,
    /// Each of its connections holds a clone.
    open: Arc<()>,
    ended: oneshot::Receiver<()>,
}

impl Worker {
    fn start<S, F>(number: usize, serve: S) -> io::Result<Self>
    where
        S: FnOnce(stream::BoxStream<'static, Accepted>) -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let (connections, mut assigned) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            let assigned = stream::poll_fn(move |context| assigned.poll_recv(context));
            runtime.block_on(serve(assigned.boxed()));
            // Nobody waits for a worker that was cut.
            let _ = end.send(());
        })?;
        Ok(Self {
            connections,
            open: Arc::default(),
            ended,
        })
    }
}

/// Runs `serve` on `count` threads, spreads the connections over them until there are no more, and waits until each has ended.
pub(crate) async fn serve<S, F>(
    count: usize,
    mut accepted: impl Stream<Item = Accepted> + Unpin,
    serve: S,
) -> Result<(), ServeError>
where
    S: Fn(stream::BoxStream<'static, Accepted>) -> F + Clone + Send + 'static,
    F: Future<Output = ()>,
{
    let workers = (0..count).map(|number| Worker::start(number, serve.clone()));
    let workers: Vec<_> = workers.collect::<Result<_, _>>().map_err(ServeError::Worker)?;
    while let Some(connection) = accepted.next().await {
        let idlest = workers.iter().min_by_key(|worker| Arc::strong_count(&worker.open));
        let Some(worker) = idlest else { break };
        let connection = connection.counted_by(Arc::clone(&worker.open));
        if worker.connections.send(connection).is_err() {
            // It ended before its time; waiting for all of them tells why.
            break;
        }
    }
    drop(accepted);
    // None waits for further connections.
    let ended: Vec<_> = workers.into_iter().map(|worker| worker.ended).collect();
    for ended in ended {
        let ended = ended.await;
        ended.map_err(|_| ServeError::Worker(io::Error::other("it panicked")))?;
    }
    Ok(())
}
