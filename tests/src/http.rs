//! A plain HTTP client, of either version: each request on a connection of its own.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::form_encode;
use crate::deadline::DEADLINE;

/// A server, and how to talk to it.
#[derive(Clone, Debug)]
pub struct Http {
    address: String,
    version: Version,
    tls: Option<Arc<ClientConfig>>,
}

/// What it answered.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Http {
    /// Talks HTTP/1.1.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            version: Version::HTTP_11,
            tls: None,
        }
    }

    /// The same over HTTP/2.
    #[must_use]
    pub fn over_http2(mut self) -> Self {
        self.version = Version::HTTP_2;
        self
    }

    /// The same inside TLS, trusting this authority (PEM) and calling the server `localhost`.
    #[must_use]
    pub fn over_tls(self, authority: &str) -> Self {
        self.over_tls_as(authority, None)
    }

    /// The same with a certificate and its key (PEM) of the client's own.
    #[must_use]
    pub fn over_tls_as(mut self, authority: &str, own: Option<(&str, &str)>) -> Self {
        // An error says that there is one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate");
        roots.add(authority).expect("an authority");
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                let config = builder.with_client_auth_cert(vec![certificate], key);
                config.expect("a certificate of the key")
            }
        };
        config.alpn_protocols = vec![self.protocol().to_vec()];
        self.tls = Some(Arc::new(config));
        self
    }

    fn protocol(&self) -> &'static [u8] {
        if self.version == Version::HTTP_2 {
            b"h2"
        } else {
            b"http/1.1"
        }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Gets a path.
    pub async fn get(&self, path: &str) -> HttpAnswer {
        self.send(Request::get(path), "").await
    }

    /// Posts a form with these parameters.
    pub async fn post(&self, path: &str, authorization: Option<&str>, form: &[(&str, &str)]) -> HttpAnswer {
        let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        self.send(request, &encode(form)).await
    }

    /// Sends a request with a path for its URI.
    pub async fn send(&self, request: http::request::Builder, body: &str) -> HttpAnswer {
        let mut request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .expect("a request");
        let authority = self.address.clone();
        if self.version == Version::HTTP_2 {
            let scheme = if self.tls.is_some() { "https" } else { "http" };
            let uri = format!("{scheme}://{authority}{}", request.uri());
            *request.uri_mut() = uri.parse().expect("a URI");
            *request.version_mut() = Version::HTTP_2;
        } else {
            request
                .headers_mut()
                .entry("host")
                .or_insert_with(|| authority.parse().expect("an authority"));
        }
        let answered = async {
            let stream = TcpStream::connect(&self.address).await.expect("a connection");
            match &self.tls {
                None => self.talk(stream, request).await,
                Some(config) => {
                    let name = ServerName::try_from("localhost").expect("a name");
                    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
                    let stream = stream.expect("TLS");
                    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(self.protocol()));
                    self.talk(stream, request).await
                }
            }
        };
        timeout(DEADLINE, answered).await.expect("an answer in time")
    }

    async fn talk<IO>(&self, io: IO, request: Request<Full<Bytes>>) -> HttpAnswer
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(io);
        let response = if self.version == Version::HTTP_2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        HttpAnswer::of(response.expect("an answer")).await
    }
}

impl HttpAnswer {
    async fn of(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).expect("UTF-8"),
        }
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The body.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert!(self.header("content-type").starts_with("application/json"), "{self:?}");
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// A member of the body that is a text, or nothing.
    #[track_caller]
    pub fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_default().to_owned()
    }

    /// It is an error as RFC 6749, section 5.2 has them: this status, this code, a description of its characters, and nothing
    /// else; nobody may keep it.
    #[track_caller]
    pub fn assert_error(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.text("error").as_str()), (status, error), "{self:?}");
        let body = self.json();
        let members = body.as_object().expect("an object");
        assert_eq!(members.len(), 2, "{self:?}");
        let fits = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(self.text("error_description").bytes().all(fits), "{self:?}");
        self.assert_uncached();
    }

    /// C8.
    #[track_caller]
    pub fn assert_uncached(&self) {
        assert_eq!(
            (self.header("cache-control"), self.header("pragma")),
            ("no-store", "no-cache"),
            "{self:?}"
        );
    }
}

/// A form.
pub fn encode(form: &[(&str, &str)]) -> String {
    let pairs = form
        .iter()
        .map(|(name, value)| format!("{}={}", form_encode(name), form_encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}
