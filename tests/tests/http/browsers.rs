//! Cross-origin requests: off unless an origin is named.

use http::Request;
use tokenbind_tests::{HttpAnswer, Stack, encode};

use crate::fixture::{INTROSPECT, METADATA, Setting, TOKEN};

const ORIGIN: &str = "https://app.example";

async fn preflight(setting: &Setting, origin: &str) -> HttpAnswer {
    let request = Request::options(TOKEN)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    setting.issuer.send(request, "").await
}

fn granted(answer: &HttpAnswer) -> &str {
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn a_page_may_call_if_its_origin_is_named() {
    let setting = Setting::start().await;
    let refused = preflight(&setting, ORIGIN).await;
    refused.assert_error(405, "invalid_request");
    let from_page = |path: &str| Request::get(path).header("origin", ORIGIN);
    for answer in [refused, setting.issuer.send(from_page(METADATA), "").await] {
        assert!(
            answer
                .headers
                .keys()
                .all(|name| !name.as_str().starts_with("access-control-")),
            "{answer:?}"
        );
    }

    let arguments = ["--cors-origins", "https://app.example,http://localhost:8080"];
    let setting = Setting::of(Stack::redis(&arguments, &[]).await).await;
    for origin in [ORIGIN, "http://localhost:8080"] {
        let answer = preflight(&setting, origin).await;
        assert_eq!((answer.status, granted(&answer)), (200, origin), "{answer:?}");
        assert!(answer.header("access-control-allow-methods").contains("POST"));
        assert!(answer.header("access-control-allow-headers").contains("authorization"));
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            "",
            "no cookie is ever looked at"
        );
    }
    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "null",
    ] {
        assert_eq!(granted(&preflight(&setting, origin).await), "", "{origin}");
    }
    // The answers of errors, too: or else a page could not tell what went wrong.
    let request = Request::post(TOKEN)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", ORIGIN);
    let answer = setting
        .issuer
        .send(request, &encode(&[("grant_type", "client_credentials")]))
        .await;
    answer.assert_error(401, "invalid_client");
    assert_eq!(granted(&answer), ORIGIN);
    // Introspection is for resources, which are no pages.
    let request = Request::options(INTROSPECT)
        .header("origin", ORIGIN)
        .header("access-control-request-method", "POST");
    let answer = setting.validator.send(request, "").await;
    assert_eq!((answer.status, granted(&answer)), (405, ""));
    setting.assert_works().await;
}
