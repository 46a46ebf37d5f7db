//! A gRPC client that costs as little as it can: messages are encoded before, answers are checked and not kept.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use thiserror::Error;
use tokio::net::TcpStream;

/// More than any answer, so that the server never waits for the client.
const WINDOW: u32 = 16 << 20;
/// The length of what stands before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

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
    match text("grpc-status") {
        status if status == "0" => Ok(()),
        status => Err(CallError::Status(status, text("grpc-message"))),
    }
}

/// A message as it goes over the wire.
pub(super) fn framed(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message.encode_to_vec());
    framed.freeze()
}
