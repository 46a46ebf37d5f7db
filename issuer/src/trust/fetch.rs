//! Fetches a JWK Set. The server at the other end may be slow, broken or hostile: everything has a limit, and nothing that it
//! says makes us ask anywhere else.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

/// From the look-up of the name to the last byte.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);
/// The largest key set of which we know has 20 KiB.
pub(crate) const MAX_BYTES: usize = 128 * 1024;
/// A service-account token has some 1,500 bytes.
const MAX_TOKEN_FILE_BYTES: usize = 16 * 1024;

/// Asks one URL, again and again.
pub(crate) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    uri: Uri,
    bearer_token_file: Option<PathBuf>,
}

impl Fetcher {
    /// For this URL, which was checked when it was declared.
    pub(crate) fn new(uri: Uri, tls: ClientConfig, bearer_token_file: Option<PathBuf>) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1();
        // A connection every few minutes: keeping it would cost more than it saves, and its task would belong to whichever
        // runtime asked first.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector.build());
        Self {
            client,
            uri,
            bearer_token_file,
        }
    }

    /// What is there now. An error is for the log.
    pub(crate) async fn fetch(&self) -> Result<Bytes, String> {
        tokio::time::timeout(TIMEOUT, self.get())
            .await
            .map_err(|_| format!("there is no answer within {} s", TIMEOUT.as_secs()))?
    }

    async fn get(&self) -> Result<Bytes, String> {
        let mut request = Request::get(self.uri.clone())
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        if let Some(path) = &self.bearer_token_file {
            let authorization = authorization(path).await?;
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        let answer = self.client.request(request).await.map_err(|error| reason(&error))?;
        // A redirect too: it would let the server choose whom we ask.
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        let body =
            body.map_err(|error| format!("the answer cannot be read, or has more than {MAX_BYTES} bytes: {error}"))?;
        Ok(body.to_bytes())
    }
}

async fn authorization(path: &Path) -> Result<HeaderValue, String> {
    let failed = |problem: &dyn fmt::Display| format!("{}: {problem}", path.display());
    let read = {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await
    };
    let token = read.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    if token.len() > MAX_TOKEN_FILE_BYTES {
        return Err(failed(&"it is too long for a token"));
    }
    let mut value =
        HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| failed(&"it holds no token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The library's errors say what happened only in their source.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}
