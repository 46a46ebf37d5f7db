//! A gRPC client that costs as little as it can: messages are encoded before, answers are checked and not kept.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use thiserror::Error;
use tokio::net::TcpStream;

/// More than any answer, so that the server never waits for the client.
const WINDOW: u32 = 16 << 20;
/// The length of what stands before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// How a call ended.
const STATUS: &str = "grpc-status";

/// Why a call was not answered well.
#[derive(Debug, Error)]
pub(super) enum CallError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] h2::Error),
    /// An error of gRPC.
    #[error("gRPC status {0}: {1}")]
    Status(String, String),
    /// An answer that this load must not get.
    #[error("a wrong answer")]
    Wrong,
}

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) struct Peer {
    sender: SendRequest<Bytes>,
}

/// What every call of a method has in common.
#[derive(Clone, Debug)]
pub(super) struct Method {
    uri: Uri,
    headers: HeaderMap,
}

impl Method {
    /// A method at a server, called with this `authorization`.
    pub(super) fn new(address: SocketAddr, path: &str, authorization: Option<&str>) -> Result<Self, http::Error> {
        let uri = Uri::builder().scheme("http").authority(address.to_string());
        let mut headers = HeaderMap::new();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization)?);
        }
        Ok(Self {
            uri: uri.path_and_query(path).build()?,
            headers,
        })
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl Peer {
    /// Connects; the connection is driven by a task of the calling runtime.
    pub(super) async fn connect(address: SocketAddr) -> Result<Self, CallError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(stream)
            .await?;
        tokio::spawn(async move {
            // Those who wait for answers are told by themselves.
            let _ = connection.await;
        });
        Ok(Self { sender })
    }

    /// Sends a framed message and answers the message that comes back.
    pub(super) async fn call(&self, method: &Method, message: Bytes) -> Result<Bytes, CallError> {
        let mut sender = self.sender.clone().ready().await?;
        let (response, mut body) = sender.send_request(method.request(), false)?;
        body.send_data(message, true)?;
        let (head, mut body) = response.await?.into_parts();
        let mut received = Bytes::new();
        while let Some(part) = body.data().await {
            let part = part?;
            body.flow_control().release_capacity(part.len())?;
            received = if received.is_empty() {
                part
            } else {
                joined(&received, &part)
            };
        }
        match body.trailers().await? {
            Some(trailers) => check(&trailers)?,
            None => check(&head.headers)?,
        }
        if received.len() < PREFIX {
            return Err(CallError::Wrong);
        }
        Ok(received.slice(PREFIX..))
    }

    /// Opens a stream of messages in both directions.
    pub(super) async fn open(&self, method: &Method) -> Result<(SendStream<Bytes>, Incoming), CallError> {
        let mut sender = self.sender.clone().ready().await?;
        let (response, outgoing) = sender.send_request(method.request(), false)?;
        let (head, body) = response.await?.into_parts();
        if head.headers.contains_key(STATUS) {
            // It ended before it began.
            check(&head.headers)?;
        }
        let rest = Bytes::new();
        Ok((outgoing, Incoming { body, rest }))
    }
}

/// The messages that come in on a stream.
pub(super) struct Incoming {
    body: RecvStream,
    /// The beginning of a message.
    rest: Bytes,
}

impl Incoming {
    /// Those that came together, at least one; `None` at the good end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, CallError> {
        loop {
            let Some(part) = self.body.data().await else {
                let trailers = self.body.trailers().await?;
                check(&trailers.unwrap_or_default())?;
                return if self.rest.is_empty() {
                    Ok(None)
                } else {
                    Err(CallError::Wrong)
                };
            };
            let part = part?;
            self.body.flow_control().release_capacity(part.len())?;
            let messages = self.take(part);
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
        }
    }

    fn take(&mut self, part: Bytes) -> Vec<Bytes> {
        let mut received = if self.rest.is_empty() {
            part
        } else {
            joined(&self.rest, &part)
        };
        let mut messages = Vec::new();
        while let Some(message) = unframed(&mut received) {
            messages.push(message);
        }
        self.rest = received;
        messages
    }
}

/// Takes the first message off, if it is there as a whole.
fn unframed(received: &mut Bytes) -> Option<Bytes> {
    let (prefix, after) = received.split_first_chunk::<PREFIX>()?;
    let [_, length @ ..] = *prefix;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    (after.len() >= length).then(|| received.split_to(PREFIX + length).slice(PREFIX..))
}

fn joined(first: &Bytes, second: &Bytes) -> Bytes {
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(first);
    both.extend_from_slice(second);
    both.freeze()
}

fn check(headers: &HeaderMap) -> Result<(), CallError> {
    let text = |name: &str| {
        let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        value.unwrap_or_default().into_owned()
    };
    match text(STATUS) {
        status if status == "0" => Ok(()),
        status => Err(CallError::Status(status, text("grpc-message"))),
    }
}

/// A message as it goes over the wire.
pub(super) fn framed(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX + length);
    begin(&mut framed, length);
    framed.extend_from_slice(&message.encode_to_vec());
    framed.freeze()
}

/// What stands before a message of this length.
pub(super) fn begin(framed: &mut BytesMut, length: usize) {
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_off_wherever_they_were_cut() {
        let (first, second) = ("ab".to_owned(), String::new());
        let whole = joined(&framed(&first), &framed(&second));
        let mut received = Bytes::new();
        let mut messages = Vec::new();
        for byte in &whole {
            received = joined(&received, &Bytes::copy_from_slice(&[*byte]));
            messages.extend(unframed(&mut received));
        }
        assert!(received.is_empty());
        let lengths: Vec<_> = messages.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [prost::Message::encoded_len(&first), 0]);
    }
}
