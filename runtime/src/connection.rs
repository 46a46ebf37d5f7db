//! Connections as the server accepts them: limited in number, without patience for silence, and ready to be cut.

use futures::{Stream, stream};
use std::{
    future::Future,
    io,
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
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// A client that has not said hello by then never will; HTTP/2's keepalive only starts afterwards.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// The length of HTTP/2's client preface.
const PREFACE_BYTES: usize = 24;
/// Without file descriptors, accepting fails again at once: wait instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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

/// Accepts connections from `listener`, at most `limit` at a time.
pub(crate) fn accept(listener: TcpListener, limit: usize) -> impl Stream<Item = Accepted> + Send {
    let permits = Arc::new(Semaphore::new(limit));
    stream::unfold((listener, permits), |(listener, permits)| async move {
        let accepted = loop {
            let accepted = match listener.accept().await {
                Ok((stream, peer)) => {
                    let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                        tracing::debug!(%peer, "connection refused: too many are open");
                        continue;
                    };
                    stream.into_std().map(|stream| Accepted {
                        stream,
                        permit,
                        counted_by: None,
                    })
                }
                Err(error) => Err(error),
            };
            match accepted {
                Ok(accepted) => break accepted,
                Err(error) if concerns_one_peer(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        Some((accepted, (listener, permits)))
    })
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
    /// Until the preface was read.
    awaited: Option<Preface>,
    _permit: OwnedSemaphorePermit,
    _counted_by: Option<Arc<()>>,
}

struct Preface {
    missing: usize,
    timeout: Pin<Box<Sleep>>,
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
            awaited: Some(Preface {
                missing: PREFACE_BYTES,
                timeout: Box::pin(time::sleep(PREFACE_TIMEOUT)),
            }),
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

    fn poll_preface(&mut self, context: &mut Context<'_>, read: usize) -> io::Result<()> {
        let Some(preface) = &mut self.awaited else {
            return Ok(());
        };
        preface.missing = preface.missing.saturating_sub(read);
        if preface.missing == 0 {
            self.awaited = None;
            return Ok(());
        }
        match preface.timeout.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client stayed silent")),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.poll_preface(context, buffer.filled().len() - before)?;
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn connect() -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut accepted = Box::pin(accept(listener, 1));
        let accepted = accepted.next().await.unwrap();
        (client, Connection::new(accepted, &Cutter::default()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_dropped() {
        let (_client, mut connection) = connect().await;
        let read = time::timeout(10 * PREFACE_TIMEOUT, connection.read(&mut [0; 64])).await;
        assert_eq!(read.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_said_hello_may_be_silent() {
        let (mut client, mut connection) = connect().await;
        client.write_all(&[b'x'; PREFACE_BYTES]).await.unwrap();
        connection.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        let silence = time::timeout(10 * PREFACE_TIMEOUT, connection.read(&mut [0; 64])).await;
        assert!(silence.is_err(), "{silence:?}");
    }
}
