//! A client that connects has to say something.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Sleep},
};
use tokio_util::sync::CancellationToken;

/// A client that has not said hello by then never will; the time-outs of HTTP only start afterwards.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The length of HTTP/2's client preface. With as much, or less that is no beginning of it, the protocol is known.
const BYTES: usize = 24;

/// A connection, inside its TLS if it has any, whose client has to say hello in time.
pub(crate) struct Greeted<IO> {
    io: IO,
    /// Until it did.
    awaited: Option<Hello>,
}

struct Hello {
    missing: usize,
    said: CancellationToken,
    timeout: Pin<Box<Sleep>>,
}

impl<IO> Greeted<IO> {
    /// `said` is cancelled when it did.
    pub(crate) fn new(io: IO, said: CancellationToken) -> Self {
        let hello = Hello {
            missing: BYTES,
            said,
            timeout: Box::pin(time::sleep(TIMEOUT)),
        };
        Self {
            io,
            awaited: Some(hello),
        }
    }

    fn poll_hello(&mut self, context: &mut Context<'_>, read: usize) -> io::Result<()> {
        let Some(hello) = &mut self.awaited else {
            return Ok(());
        };
        hello.missing = hello.missing.saturating_sub(read);
        if hello.missing == 0 {
            hello.said.cancel();
            self.awaited = None;
            return Ok(());
        }
        match hello.timeout.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client stayed silent")),
            Poll::Pending => Ok(()),
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Greeted<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        self.poll_hello(context, buffer.filled().len() - before)?;
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Greeted<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_dropped() {
        for said in [&b""[..], b"PRI * HTTP/2.0"] {
            let (mut client, server) = duplex(64);
            let mut server = Greeted::new(server, CancellationToken::new());
            client.write_all(said).await.unwrap();
            server.read_exact(&mut vec![0; said.len()]).await.unwrap();
            let read = time::timeout(10 * TIMEOUT, server.read(&mut [0; 64])).await;
            assert_eq!(read.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_said_hello_may_be_silent() {
        let (mut client, server) = duplex(64);
        let said = CancellationToken::new();
        let mut server = Greeted::new(server, said.clone());
        client.write_all(&[b'x'; BYTES]).await.unwrap();
        server.read_exact(&mut [0; BYTES]).await.unwrap();
        assert!(said.is_cancelled());
        let silence = time::timeout(10 * TIMEOUT, server.read(&mut [0; 64])).await;
        assert!(silence.is_err(), "{silence:?}");
    }
}
