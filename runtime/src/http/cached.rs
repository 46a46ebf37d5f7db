//! Answers that a client may keep (RFC 9111).

use axum::{body::Body, response::Response};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use std::hash::{DefaultHasher, Hash, Hasher};

/// An answer that may be kept for so many seconds, or 304 to a client that has it already.
pub fn cacheable(request: &HeaderMap, content_type: HeaderValue, body: String, max_age_seconds: u32) -> Response {
    let tag = tag(&body);
    let known = is_known(request, &tag);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(body) });
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={max_age_seconds}")) {
        headers.insert(CACHE_CONTROL, value);
    }
    if let Ok(value) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, value);
    }
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, content_type);
    }
    response
}

/// The same for the same body on every instance. It need not withstand anybody: the body is ours.
fn tag(body: &str) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// RFC 9110, section 13.1.2: the weak comparison.
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let values = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut members = values.flat_map(|value| value.split(',')).map(str::trim);
    members.any(|member| member == "*" || member.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_not_sent_it_again() {
        let answer = |if_none_match: Option<&str>, body: &str| {
            let mut request = HeaderMap::new();
            if let Some(value) = if_none_match {
                request.insert(IF_NONE_MATCH, value.parse().unwrap());
            }
            cacheable(&request, HeaderValue::from_static("text/plain"), body.to_owned(), 300)
        };
        let first = answer(None, "a");
        assert_eq!(
            (first.status(), first.headers()[CACHE_CONTROL].to_str().unwrap()),
            (StatusCode::OK, "public, max-age=300")
        );
        let tag = first.headers()[ETAG].to_str().unwrap();
        for known in [tag, "*", &format!("W/{tag}"), &format!("\"x\", {tag}")] {
            let again = answer(Some(known), "a");
            assert_eq!(
                (again.status(), again.headers()[ETAG].to_str().unwrap()),
                (StatusCode::NOT_MODIFIED, tag)
            );
            assert_eq!(answer(Some(known), "b").status() == StatusCode::OK, known != "*");
        }
        assert_eq!(answer(Some("\"x\""), "a").status(), StatusCode::OK);
    }
}
