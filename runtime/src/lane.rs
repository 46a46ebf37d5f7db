//! Connections being served: gRPC and HTTP, over HTTP/2 and HTTP/1.1, with and without TLS.

use crate::{
    at_once::Calls,
    config::ServerConfig,
    connection::{Accepted, Connection, Cutter},
    front::{Conversation, Front},
    greeting::Greeted,
    talk::Talk,
    tls::{PeerCertificate, ServerTls},
};
use futures::{Stream, StreamExt};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::server::Connected;

/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it has to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Resets tolerated before a connection is told to go away: those sent by the client before its call was accepted, and
/// those that its own errors provoked.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 1024;
/// How long an HTTP/1.1 connection waits for the next request, and for all of its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server that stops waits for the first word of a client that has just connected.
const LATE_HELLO: Duration = Duration::from_secs(1);
/// The most headers of an HTTP/1.1 request; HTTP/2 counts their bytes.
const MAX_HEADERS: usize = 100;
/// hyper takes no smaller buffer for the head of an HTTP/1.1 request.
const LEAST_BUFFER_BYTES: usize = 8_192;

/// What each thread serves with. Clones share one state.
#[derive(Clone)]
pub(crate) struct Lane {
    limits: ProtocolLimits,
    /// Whether threads share the work.
    shared: bool,
    tls: Option<ServerTls>,
    front: Front,
    /// No client can connect any more.
    closed: CancellationToken,
    cut: Cutter,
    max_age: Option<Duration>,
    /// How many connections there were: whoever connected at once is not told to leave at once.
    count: Arc<AtomicU32>,
}

impl Lane {
    pub(crate) fn new(config: &ServerConfig, front: Front, closed: CancellationToken, cut: Cutter) -> Self {
        Self {
            limits: ProtocolLimits::new(config),
            shared: config.workers == 0,
            tls: config.tls.clone(),
            front,
            closed,
            cut,
            max_age: config.max_connection_age,
            count: Arc::default(),
        }
    }

    /// Serves these connections until clients are told to leave, and their calls to the end.
    pub(crate) async fn serve(self, mut accepted: impl Stream<Item = Accepted> + Unpin) {
        let open = TaskTracker::new();
        while let Some(accepted) = accepted.next().await {
            open.spawn(self.clone().connect(accepted));
        }
        // Nobody connects any more from here on.
        drop(accepted);
        open.close();
        open.wait().await;
    }

    async fn connect(self, accepted: Accepted) {
        let connection = match Connection::new(accepted, &self.cut) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::debug!(%error, "a connection cannot be served");
                return;
            }
        };
        match &self.tls {
            None => self.converse(connection, None).await,
            Some(tls) => match tls.accept(connection).await {
                Ok(stream) => {
                    let certificate = PeerCertificate::shown(stream.get_ref().1);
                    self.converse(stream, certificate).await;
                }
                Err(error) => tracing::debug!(%error, "no TLS with a client"),
            },
        }
    }

    /// From nine to eleven tenths of what is said.
    fn age(&self) -> Option<Duration> {
        let turn = self.count.fetch_add(1, Ordering::Relaxed) % 21;
        self.max_age.map(|age| age * (90 + turn) / 100)
    }

    async fn converse<IO>(&self, io: IO, certificate: Option<Arc<PeerCertificate>>)
    where
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let talk = Arc::new(Talk::default());
        let conversation = Conversation::new(self.front.clone(), io.connect_info(), certificate, Arc::clone(&talk));
        let said = CancellationToken::new();
        let io = TokioIo::new(Greeted::new(io, said.clone()));
        let calls = if self.shared { Calls::shared() } else { Calls::default() };
        let protocols = self.limits.protocols(calls.clone());
        let mut conversing = pin!(protocols.serve_connection(io, conversation));
        // A child, because looking at a token takes a lock, and each turn of a connection does.
        let closed = self.closed.child_token();
        let mut leaving = pin!(async {
            closed.cancelled().await;
            // hyper drops who has not said which protocol it speaks, and the first call may be on its way.
            let _ = time::timeout(LATE_HELLO, said.cancelled()).await;
        });
        let mut stalled = pin!(talk.stalled());
        let mut aged = pin!(talk.aged(self.age()));
        let mut leaves = false;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = calls.drive(conversing.as_mut()) => break outcome,
                () = &mut stalled => {
                    tracing::debug!("a client takes nothing of its answers");
                    return;
                }
                () = &mut aged, if !leaves => {
                    leaves = true;
                    conversing.as_mut().graceful_shutdown();
                }
                () = &mut leaving, if !leaves => {
                    leaves = true;
                    conversing.as_mut().graceful_shutdown();
                }
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(error, "a connection failed");
        }
    }
}

/// What a connection may ask of the protocol.
#[derive(Clone, Copy)]
struct ProtocolLimits {
    streams: u32,
    head_bytes: u32,
}

impl ProtocolLimits {
    fn new(config: &ServerConfig) -> Self {
        Self {
            streams: config.max_streams,
            // Twice what is allowed, so that what exceeds it a little gets an answer that says so. Far more is refused by the
            // protocol itself.
            head_bytes: config.max_metadata_bytes.saturating_mul(2),
        }
    }

    fn protocols(self, calls: Calls) -> auto::Builder<Calls> {
        let mut builder = auto::Builder::new(calls);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.streams)
            .max_header_list_size(self.head_bytes)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_ERROR_RESETS);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(usize::try_from(self.head_bytes).map_or(usize::MAX, |most| most.max(LEAST_BUFFER_BYTES)));
        builder
    }
}
