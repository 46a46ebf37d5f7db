//! `application/x-www-form-urlencoded` bodies (RFC 6749, appendix B).

use super::{BodyLimits, OAuthError, RETRY};
use crate::{body::Exhausted, credentials::form_decode};
use axum::body::Body;
use bytes::Bytes;
use http::{
    HeaderMap, Request, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use secrecy::SecretString;
use std::collections::HashSet;
use tokio::time;

const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";
/// The most parameters of a request, known or not.
const MAX_PARAMETERS: usize = 64;

/// The parameters of a request. Any of them may be a secret.
#[derive(Debug)]
pub struct Form(Vec<(String, SecretString)>);

impl Form {
    /// Reads the form in the body of a request.
    ///
    /// # Errors
    /// The answer to a request that has none: parameters in the URI, where logs would keep them (C5, C20); another media type;
    /// a body that is too large, too slow or no form; a parameter that is there twice and not one of `repeatable` (C2).
    pub async fn read(request: Request<Body>, repeatable: &[&str]) -> Result<(Parts, Self), OAuthError> {
        let (parts, body) = request.into_parts();
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            let why = "the parameters belong in the body: a URI must have none";
            return Err(OAuthError::invalid_request(why));
        }
        check_media_type(&parts.headers)?;
        let bytes = collect(body, parts.extensions.get().copied()).await?;
        Ok((parts, Self::parse(&bytes, repeatable)?))
    }

    fn parse(bytes: &[u8], repeatable: &[&str]) -> Result<Self, OAuthError> {
        let mut seen = HashSet::new();
        let mut parameters = Vec::new();
        for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == MAX_PARAMETERS {
                let why = format!("there must be at most {MAX_PARAMETERS} parameters");
                return Err(OAuthError::invalid_request(why));
            }
            let pair = std::str::from_utf8(pair).ok();
            let (name, value) = pair.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).unzip();
            let (Some(name), Some(value)) = (name.and_then(form_decode), value.and_then(form_decode)) else {
                return Err(OAuthError::invalid_request("the body is not UTF-8"));
            };
            if !repeatable.contains(&name.as_str()) && !seen.insert(name.clone()) {
                return Err(OAuthError::invalid_request("a parameter must not be repeated"));
            }
            parameters.push((name, value.into()));
        }
        Ok(Self(parameters))
    }

    /// Takes the value of a parameter; an empty one counts as absent (RFC 6749, section 3.2).
    pub fn take(&mut self, name: &str) -> Option<SecretString> {
        self.take_all(name).pop()
    }

    /// Takes the values of a parameter that may be repeated, in order, without empty ones.
    pub fn take_all(&mut self, name: &str) -> Vec<SecretString> {
        use secrecy::ExposeSecret as _;
        let taken = self.0.extract_if(.., |(known, _)| known == name);
        let values = taken.map(|(_, value)| value);
        values.filter(|value| !value.expose_secret().is_empty()).collect()
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), OAuthError> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let is_form = |value: &http::HeaderValue| {
        let mut parts = value.to_str().unwrap_or_default().split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        essence.eq_ignore_ascii_case(MEDIA_TYPE) && parts.all(is_no_other_charset)
    };
    let fits = types.next().is_some_and(is_form) && types.next().is_none() && !headers.contains_key(CONTENT_ENCODING);
    fits.then_some(()).ok_or_else(|| {
        let why = format!("the body must be {MEDIA_TYPE}, and not compressed");
        OAuthError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", why)
    })
}

/// The type has no parameter, and many clients send this one. Another would mean other bytes (RFC 6749, appendix B).
fn is_no_other_charset(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
}

async fn collect(body: Body, limits: Option<BodyLimits>) -> Result<Bytes, OAuthError> {
    // Every request comes with its limits; without them nothing is read.
    let BodyLimits { bytes, deadline } = limits.ok_or_else(OAuthError::internal)?;
    let Ok(collected) = time::timeout_at(deadline, Limited::new(body, bytes).collect()).await else {
        let why = "the body did not come in time";
        return Err(OAuthError::new(StatusCode::REQUEST_TIMEOUT, "invalid_request", why));
    };
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            let why = format!("the body must be at most {bytes} bytes");
            OAuthError::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", why)
        } else if Exhausted::is_behind(error.as_ref()) {
            OAuthError::unavailable(RETRY)
        } else {
            OAuthError::invalid_request("the body cannot be read")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn values(form: &mut Form, name: &str) -> Vec<String> {
        let values = form.take_all(name).into_iter();
        values.map(|value| value.expose_secret().to_owned()).collect()
    }

    #[test]
    fn c2_c3_a_parameter_is_there_once_and_empty_is_absent() {
        let mut form = Form::parse(b"a=1&b=&c&&d=%2B+%c3%A9&=x&r=1&r=&r=2", &["r"]).unwrap();
        assert_eq!(values(&mut form, "a"), ["1"]);
        for absent in ["b", "c", "e", "a"] {
            assert!(form.take(absent).is_none(), "{absent}");
        }
        assert_eq!(values(&mut form, "d"), ["+ \u{e9}"]);
        assert_eq!(values(&mut form, "r"), ["1", "2"]);
        for repeated in ["a=1&a=1", "a=&a=1", "a&%61=1", "x=1&r=1&x=2"] {
            Form::parse(repeated.as_bytes(), &["r"]).unwrap_err();
        }
    }

    #[test]
    fn a_form_says_that_it_is_one() {
        for (content_type, fits) in [
            ("application/x-www-form-urlencoded", true),
            ("Application/X-WWW-Form-Urlencoded ; Charset=\"UTF-8\"", true),
            ("application/x-www-form-urlencoded;x=\"a", true),
            ("application/x-www-form-urlencoded; charset=utf-16", false),
            ("application/x-www-form-urlencoded; charset", false),
            ("application/x-www-form-urlencoded, text/plain", false),
            ("text/plain; application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
            assert_eq!(check_media_type(&headers).is_ok(), fits, "{content_type}");
        }
    }

    #[test]
    fn what_is_no_utf8_is_no_form() {
        for bytes in [&b"a=\xff"[..], b"a=%ff", b"%c3=1", b"a=%c3%28"] {
            Form::parse(bytes, &[]).unwrap_err();
        }
        let many: Vec<_> = (0..=MAX_PARAMETERS).map(|number| format!("p{number}=1")).collect();
        Form::parse(many.join("&").as_bytes(), &[]).unwrap_err();
        Form::parse(many[1..].join("&").as_bytes(), &[]).unwrap();
    }
}
