//! Errors as RFC 6749, section 5.2 writes them.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;
use std::{borrow::Cow, time::Duration};

/// An error as a client of OAuth understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: Cow<'static, str>,
    challenge: Option<HeaderValue>,
    retry_after: Option<Duration>,
}

impl OAuthError {
    /// An error with this code. The description is for people, and never has what was sent.
    pub fn new(status: StatusCode, error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            challenge: None,
            retry_after: None,
        }
    }

    /// The request is wrong in itself.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// It cannot be done now.
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "temporarily unavailable: try again",
        )
        .after(retry_after)
    }

    /// It cannot be done before somebody repairs something.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "internal error")
    }

    /// Says how a caller authenticates (RFC 9110, section 11.6.1).
    #[must_use]
    pub fn challenge(mut self, challenge: HeaderValue) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Says when to try again; in whole seconds, rounded up.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "error": self.error,
            "error_description": plain(&self.description),
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        uncached(response)
    }
}

/// An answer in JSON that nobody may keep.
pub fn json(body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            uncached(response)
        }
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            OAuthError::internal().into_response()
        }
    }
}

/// An answer that nobody may keep (RFC 6749, section 5.1).
pub fn uncached(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// The characters that a description may have: printable ASCII without `"` and `\` (C13).
fn plain(description: &str) -> String {
    let fit = |character| match character {
        '"' | '\\' => '\'',
        ' '..='~' => character,
        _ => '?',
    };
    description.chars().map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c13_a_description_keeps_to_its_characters() {
        let hostile = "a\"b\\c\r\nd\u{0}e\u{e9}f\u{7f} g~";
        let fit = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let description = plain(hostile);
        assert!(description.bytes().all(fit), "{description}");
        assert_eq!(description, "a'b'c??d?e?f? g~");
    }

    #[test]
    fn a_wait_is_never_told_shorter_than_it_is() {
        for (wait, told) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (60_000, "60")] {
            let response = OAuthError::unavailable(Duration::from_millis(wait)).into_response();
            assert_eq!(response.headers()[RETRY_AFTER], told);
        }
    }
}
