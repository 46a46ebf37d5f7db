//! What HTTP itself wants: 404, 405 with `Allow`, 413, 415, 431, HEAD, and what is counted and traced.

use http::Request;
use tokenbind_tests::{Backend, DEADLINE, Http, Stack, encode, wait_until};

use crate::fixture::{INTROSPECT, JWKS, METADATA, REVOKE, Setting, TOKEN};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn c1_every_path_has_its_methods_and_its_media_type() {
    let setting = Setting::start().await;
    for (server, path) in [
        (&setting.issuer, TOKEN),
        (&setting.issuer, REVOKE),
        (&setting.validator, INTROSPECT),
    ] {
        for server in [server.clone(), server.clone().over_http2()] {
            for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
                let answer = server.send(Request::builder().method(method).uri(path), "").await;
                answer.assert_error(405, "invalid_request");
                assert_eq!(answer.header("allow"), "POST", "{method}");
            }
            let head = server.send(Request::head(path), "").await;
            assert_eq!((head.status, head.header("allow")), (405, "POST"));
            for media_type in [
                "",
                "application/json",
                "multipart/form-data",
                "text/plain",
                "application/x-www-form-urlencoded2",
            ] {
                let request = Request::post(path).header("content-type", media_type);
                server.send(request, "a=b").await.assert_error(415, "invalid_request");
            }
            let compressed = Request::post(path)
                .header("content-type", FORM)
                .header("content-encoding", "gzip");
            server
                .send(compressed, "a=b")
                .await
                .assert_error(415, "invalid_request");
            server
                .send(Request::post(path), "a=b")
                .await
                .assert_error(415, "invalid_request");
        }
    }
    for path in [JWKS, METADATA] {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = setting
                .issuer
                .send(Request::builder().method(method).uri(path), "")
                .await;
            answer.assert_error(405, "invalid_request");
            assert_eq!(answer.header("allow"), "GET,HEAD");
        }
    }
    for path in [
        "/",
        "/oauth2",
        "/oauth2/token/",
        "//oauth2/token",
        "/OAUTH2/token",
        "/oauth2/%74oken",
        "/oauth2/../oauth2/token",
    ] {
        for server in [&setting.issuer, &setting.validator] {
            server.post(path, None, &[]).await.assert_error(404, "not_found");
        }
    }
    // An issuer introspects nothing, and a validator issues nothing.
    setting
        .issuer
        .post(INTROSPECT, None, &[])
        .await
        .assert_error(404, "not_found");
    setting
        .validator
        .post(TOKEN, None, &[])
        .await
        .assert_error(404, "not_found");
    // A media type may have parameters, in any case.
    let request = Request::post(TOKEN)
        .header("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8")
        .header("authorization", setting.opaque.basic());
    let answer = setting
        .issuer
        .send(request, &encode(&[("grant_type", "client_credentials")]))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // An RPC is not there for who does not speak gRPC.
    let rpc = "/tokenbind.v1.TokenService/IssueToken";
    for server in [setting.issuer.clone(), setting.issuer.clone().over_http2()] {
        server.post(rpc, None, &[]).await.assert_error(415, "invalid_request");
        server
            .post("/tokenbind.v1.TokenService/Nothing", None, &[])
            .await
            .assert_error(404, "not_found");
    }
    let grpc = Request::post(rpc).header("content-type", "application/grpc");
    setting.issuer.send(grpc, "").await.assert_error(415, "invalid_request");
    setting.assert_works().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_says_so() {
    let arguments = ["--max-message-bytes", "4096", "--max-metadata-bytes", "4096"];
    let setting = Setting::of(Stack::start_with(Backend::Redis, &arguments).await).await;
    for (server, path) in [(&setting.issuer, TOKEN), (&setting.validator, INTROSPECT)] {
        for server in [server.clone(), server.clone().over_http2()] {
            let request = || Request::post(path).header("content-type", FORM);
            server
                .send(request(), &"x".repeat(4_097))
                .await
                .assert_error(413, "invalid_request");
            let long = "x".repeat(4_096);
            server
                .send(request().header("x-long", &long), "")
                .await
                .assert_error(431, "invalid_request");
            let many = (0..70)
                .map(|number| (format!("p{number}"), String::new()))
                .collect::<Vec<_>>();
            let many: Vec<_> = many
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            server
                .post(path, None, &many)
                .await
                .assert_error(400, "invalid_request");
            server
                .send(request(), "a=%ff")
                .await
                .assert_error(400, "invalid_request");
        }
    }
    setting.assert_works().await;
}

/// Labels are what the server has, never what the caller chose.
#[tokio::test]
async fn requests_are_counted_by_route() {
    let metrics = format!("127.0.0.1:{}", tokenbind_tests::free_port());
    let stack = Stack::redis(&["--metrics-listen", &metrics], &[]).await;
    let setting = Setting::of(stack).await;
    setting.login(&setting.jwt, "canary-device").await;
    setting.issuer.get("/canary-path").await;
    setting
        .issuer
        .send(Request::builder().method("CANARY").uri(TOKEN), "")
        .await;
    setting
        .issuer
        .post(TOKEN, Some("Basic canary"), &[("grant_type", "client_credentials")])
        .await;
    let admin = Http::new(&metrics);
    let expected = [
        r#"http_server_handled_total{http_method="POST",http_route="/oauth2/token",http_code="200"} 1"#,
        r#"http_server_handled_total{http_method="POST",http_route="/oauth2/token",http_code="401"} 1"#,
        r#"http_server_handled_total{http_method="GET",http_route="unknown",http_code="404"} 1"#,
        r#"http_server_handled_total{http_method="other",http_route="/oauth2/token",http_code="405"} 1"#,
        r#"http_server_started_total{http_method="POST",http_route="/oauth2/token"} 2"#,
        r#"http_server_handling_seconds_count{http_method="POST",http_route="/oauth2/token",http_code="200"} 1"#,
    ];
    let seen = wait_until("all is counted", DEADLINE, async || {
        let seen = admin.get("/metrics").await.body;
        expected.iter().all(|line| seen.contains(line)).then_some(seen)
    })
    .await;
    assert!(!seen.to_lowercase().contains("canary"));
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/other", 404)] {
        assert_eq!(admin.get(path).await.status, status, "{path}");
    }
    setting.assert_works().await;
}
