//! Connections as the server accepts them: limited in number, without patience for who takes nothing, and ready to be cut.

use futures::{Stream, stream};
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{self, Sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// A client that takes nothing of an answer for so long has gone, or holds the connection on purpose.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Without file descriptors, accepting fails again at once: wait instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// As many connections as wait to be accepted, at most: those that are made meanwhile must not keep a server from stopping.
const MAX_LATE: usize = 1_024;

/// A connection that was accepted and belongs to no runtime yet, so that any thread may take it.
pub(crate) struct Accepted {
    stream: std::net::TcpStream,
    permit: OwnedSemaphorePermit,
    counted_by: Option<Arc<()>>,
}

impl Accepted {
    /// Holds on to this for as long as the connection is open.
    pub(crate) fn counted_by(mut self, count: Arc<()>) -> Self {
        self.counted_by = Some(count);
        self
    }
}

/// Accepts connections from `listener`, at most `limit` at a time, until `closing`; then those that are made already, whose
/// clients may have sent their calls. After the listener is closed, and not before, `closed` is cancelled.
pub(crate) fn accept(
    listener: TcpListener,
    limit: usize,
    closing: CancellationToken,
    closed: CancellationToken,
) -> impl Stream<Item = Accepted> + Send {
    let door = Door {
        listener: Listener::Open(listener),
        permits: Arc::new(Semaphore::new(limit)),
        closing,
        _closed: closed.drop_guard(),
    };
    stream::unfold(door, |mut door| async move {
        loop {
            let accepted = match door.next().await? {
                Ok((stream, peer)) => {
                    let Ok(permit) = Arc::clone(&door.permits).try_acquire_owned() else {
                        tracing::debug!(%peer, "connection refused: too many are open");
                        continue;
                    };
                    Accepted {
                        stream,
                        permit,
                        counted_by: None,
                    }
                }
                Err(error) if concerns_one_peer(&error) => continue,
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            return Some((accepted, door));
        }
    })
}

/// Where connections come in. The order of the fields is that of their end.
struct Door {
    listener: Listener,
    permits: Arc<Semaphore>,
    closing: CancellationToken,
    _closed: DropGuard,
}

enum Listener {
    Open(TcpListener),
    /// So many are taken that are there. tokio may not know yet of all of them, so the kernel is asked.
    Closing(std::net::TcpListener, usize),
    Closed,
}

impl Door {
    /// The next connection, or why there is none; `None` when there will be none any more.
    async fn next(&mut self) -> Option<io::Result<(std::net::TcpStream, SocketAddr)>> {
        loop {
            match &mut self.listener {
                Listener::Open(listener) => {
                    let accepted = tokio::select! {
                        biased;
                        () = self.closing.cancelled() => None,
                        accepted = listener.accept() => Some(accepted),
                    };
                    if let Some(accepted) = accepted {
                        return Some(accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))));
                    }
                    self.listener = match std::mem::replace(&mut self.listener, Listener::Closed) {
                        Listener::Open(listener) => listener
                            .into_std()
                            .map_or(Listener::Closed, |listener| Listener::Closing(listener, MAX_LATE)),
                        other => other,
                    };
                }
                Listener::Closing(_, 0) | Listener::Closed => return None,
                Listener::Closing(listener, left) => {
                    *left -= 1;
                    match listener.accept() {
                        Ok((stream, peer)) => return Some(stream.set_nonblocking(true).map(|()| (stream, peer))),
                        Err(error) if concerns_one_peer(&error) => {}
                        Err(_) => return None,
                    }
                }
            }
        }
    }
}

/// Cuts every connection of a server.
#[derive(Clone, Default)]
pub(crate) struct Cutter {
    /// Raised before the token is cancelled, because looking at a token takes a lock.
    made: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Cutter {
    pub(crate) fn cut(&self) {
        self.made.store(true, Ordering::SeqCst);
        self.token.cancel();
    }

    fn connection(&self) -> Cut {
        Cut {
            made: Arc::clone(&self.made),
            // A child: its lock is not shared with the other connections.
            told: Box::pin(self.token.child_token().cancelled_owned()),
            waker: None,
        }
    }
}

/// Tells a connection that it is cut.
struct Cut {
    made: Arc<AtomicBool>,
    told: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Who is woken by it. A connection is polled by one task all its life, at every read and write.
    waker: Option<Waker>,
}

impl Cut {
    fn is_made(&mut self, context: &mut Context<'_>) -> bool {
        let waits = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()));
        if !waits {
            self.waker = Some(context.waker().clone());
            if self.told.as_mut().poll(context).is_ready() {
                return true;
            }
        }
        self.made.load(Ordering::SeqCst)
    }
}

fn concerns_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    cut: Cut,
    /// While the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
    _counted_by: Option<Arc<()>>,
}

impl Connection {
    /// A connection of the runtime that this is called on; it fails once it is cut.
    pub(crate) fn new(accepted: Accepted, cut: &Cutter) -> io::Result<Self> {
        let Accepted {
            stream,
            permit,
            counted_by,
        } = accepted;
        let stream = TcpStream::from_std(stream)?;
        // An answer is written whole; holding it back until the last one is acknowledged only costs time.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        Ok(Self {
            stream,
            cut: cut.connection(),
            stalled: None,
            _permit: permit,
            _counted_by: counted_by,
        })
    }

    fn poll_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.is_made(context) {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server has stopped",
            ));
        }
        Ok(())
    }

    /// What came of writing, unless it has been nothing for too long.
    fn poll_stall(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timer = self.stalled.get_or_insert_with(|| Box::pin(time::sleep(STALL_TIMEOUT)));
        timer.as_mut().poll(context).map(|()| {
            let gone = "the client takes nothing";
            Err(io::Error::new(io::ErrorKind::TimedOut, gone))
        })
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_stall(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.poll_stall(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_dropped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let mut accepted = Box::pin(accept(listener, 1, closing, closed));
        let accepted = accepted.next().await.unwrap();
        let mut connection = Connection::new(accepted, &Cutter::default()).unwrap();
        // Time goes on by itself only where nothing else does: when the buffers of the kernel are full.
        time::pause();
        let stalled = async {
            while connection.write(&[0; 1 << 12]).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        let stalled = time::timeout(10 * STALL_TIMEOUT, stalled).await.unwrap();
        assert_eq!(stalled.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
