//! C1–C13, C74: the token endpoint.

use http::Request;
use tokenbind_proto::v1::{BindingType, GrantType, TokenFormat};
use tokenbind_tests::{App, DEADLINE, HttpAnswer, basic, encode, shop, wait_until};

use crate::fixture::{EXCHANGE, JWT_BEARER, PASSWORD, Setting, TOKEN};

const CLIENT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

#[track_caller]
fn assert_issued(answer: &HttpAnswer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.assert_uncached();
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert!(body["expires_in"].as_u64().unwrap() >= 1 && !answer.text("access_token").is_empty());
}

/// The device story: S3, S4, S7, S8 over HTTP.
#[tokio::test]
async fn c8_c9_tokens_are_issued_into_slots_as_over_grpc() {
    let setting = Setting::start().await;
    let phone = setting.login(&setting.jwt, "phone").await;
    assert_issued(&phone);
    assert_eq!(phone.text("scope"), "orders.read", "C9: the default is told");
    assert_eq!(phone.text("binding_type"), "client-request");
    let tablet = setting.login(&setting.jwt, "tablet").await;
    let again = setting.login(&setting.jwt, "phone").await;
    assert_eq!(again.json()["superseded"], true);
    for (answer, active) in [(&phone, false), (&tablet, true), (&again, true)] {
        let told = setting.introspect(&answer.text("access_token")).await;
        assert_eq!(told.json()["active"], active);
    }
    // The alias is the same parameter, and gRPC's field the same again.
    let form = [
        ("grant_type", "password"),
        ("username", "ada"),
        ("password", PASSWORD),
        ("token_binding_id", "phone"),
        ("client_id", "opaque"),
        ("client_secret", &setting.opaque.secret),
    ];
    let first = setting.issuer.post(TOKEN, None, &form).await;
    let second = setting.login(&setting.opaque, "phone").await;
    assert_eq!(first.text("access_token"), second.text("access_token"));
    assert_eq!(
        (first.json()["reused"].clone(), second.json()["reused"].clone()),
        (false.into(), true.into())
    );
    let request = tokenbind_tests::password("ada", PASSWORD);
    let request = tokenbind_tests::Ask::bound_to(request, "phone");
    let third = setting.stack.issue(&setting.opaque, request).await.unwrap();
    assert_eq!(third.access_token, first.text("access_token"));

    // C9, S10: what is granted is told, sorted; a repetition changes nothing.
    let scope = ("scope", "orders.write orders.read orders.write");
    let answer = setting.ask(&setting.opaque, &[CLIENT[0], scope]).await;
    assert_eq!(answer.text("scope"), "orders.read orders.write");
    // C11
    assert!(answer.json().get("refresh_token").is_none() && answer.json().get("issued_token_type").is_none());
    setting.assert_works().await;
}

#[tokio::test]
async fn c2_c3_parameters_are_there_once_and_empty_ones_are_not_there() {
    let setting = Setting::start().await;
    let app = &setting.opaque;
    for repeated in [
        vec![CLIENT[0], CLIENT[0]],
        vec![CLIENT[0], ("scope", "orders.read"), ("scope", "orders.read")],
        vec![CLIENT[0], ("scope", ""), ("scope", "orders.read")],
        vec![CLIENT[0], ("tokenBindingId", "a"), ("tokenBindingId", "a")],
        vec![CLIENT[0], ("tokenBindingId", "a"), ("token_binding_id", "a")],
        vec![CLIENT[0], ("unknown", "a"), ("unknown", "b")],
    ] {
        setting.ask(app, &repeated).await.assert_error(400, "invalid_request");
    }
    let plain = setting.ask(app, &CLIENT).await;
    assert_issued(&plain);
    let filled = [
        CLIENT[0],
        ("scope", ""),
        ("client_secret", ""),
        ("client_assertion", ""),
        ("resource", ""),
        ("audience", ""),
        ("tokenBindingId", ""),
        ("token_binding_id", ""),
        ("unknown", "x"),
        ("code", "x"),
    ];
    let same = setting.ask(app, &filled).await;
    assert_eq!(same.text("access_token"), plain.text("access_token"));
    // S11: blank is unbound, 256 bytes are too many, and anything else is just a value.
    let blank = setting.ask(app, &[CLIENT[0], ("tokenBindingId", " \t ")]).await;
    assert_eq!(blank.text("access_token"), plain.text("access_token"));
    let long = "x".repeat(256);
    let answer = setting.ask(app, &[CLIENT[0], ("tokenBindingId", &long)]).await;
    answer.assert_error(400, "invalid_request");
    assert!(!answer.body.contains("xxx"));
    let mut tokens = vec![plain.text("access_token")];
    for id in [
        &long[1..],
        "a",
        "A",
        " a",
        "a\r\nb",
        "a\0",
        "{a}",
        "%61",
        "a+b",
        "a b",
        "\u{e9}",
        "e\u{301}",
    ] {
        let answer = setting.ask(app, &[CLIENT[0], ("tokenBindingId", id)]).await;
        assert_issued(&answer);
        tokens.push(answer.text("access_token"));
    }
    let count = tokens.len();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), count, "each id is a device of its own");
    setting.assert_works().await;
}

#[tokio::test]
async fn c4_c5_c6_an_application_authenticates_in_one_way_and_not_in_the_uri() {
    let setting = Setting::start().await;
    let app = &setting.opaque;
    let secret = ("client_secret", app.secret.as_str());
    // C4
    for more in [
        vec![secret],
        vec![("client_id", "jwt")],
        vec![("client_id", "opaque"), secret],
    ] {
        let form = [&CLIENT[..], &more].concat();
        setting.ask(app, &form).await.assert_error(400, "invalid_request");
    }
    // Naming itself again is no second authentication.
    assert_issued(&setting.ask(app, &[CLIENT[0], ("client_id", "opaque")]).await);
    // C5
    let good = [CLIENT[0], ("client_id", "opaque"), secret];
    for query in [
        encode(&[secret]),
        encode(&good),
        "client_secret".to_owned(),
        "x=y".to_owned(),
    ] {
        let request =
            Request::post(format!("{TOKEN}?{query}")).header("content-type", "application/x-www-form-urlencoded");
        let answer = setting.issuer.send(request, &encode(&good)).await;
        answer.assert_error(400, "invalid_request");
        assert!(!answer.body.contains(&app.secret));
    }
    // C6
    let mut told = Vec::new();
    for authorization in [
        basic("opaque", "wrong"),
        basic("opaque", ""),
        basic("nobody", &app.secret),
        basic("OPAQUE", &app.secret),
        "Basic".to_owned(),
        "Basic !!!".to_owned(),
        "Basic bm8gY29sb24=".to_owned(),
        "Basic /w==".to_owned(),
        "Digest x".to_owned(),
        // A scheme that the endpoint does not take is an authentication that failed (RFC 6749, section 5.2).
        "Bearer x".to_owned(),
    ] {
        let answer = setting.issuer.post(TOKEN, Some(&authorization), &CLIENT).await;
        answer.assert_error(401, "invalid_client");
        assert!(
            answer.header("www-authenticate").starts_with("Basic realm="),
            "{answer:?}"
        );
        told.push(answer.body);
    }
    for form in [
        vec![CLIENT[0]],
        vec![CLIENT[0], ("client_id", "opaque")],
        vec![CLIENT[0], ("client_id", "nobody"), secret],
    ] {
        let answer = setting.issuer.post(TOKEN, None, &form).await;
        answer.assert_error(401, "invalid_client");
        told.push(answer.body);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "A17: whatever is wrong is answered alike");
    // RFC 6749, section 2.3.1: both halves are form-encoded.
    let odd = setting.stack.shop("a:b+c %", TokenFormat::Opaque).await;
    assert_issued(&setting.ask(&odd, &CLIENT).await);
    // A10
    let twice = Request::post(TOKEN)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", app.basic())
        .header("authorization", app.basic());
    setting
        .issuer
        .send(twice, &encode(&CLIENT))
        .await
        .assert_error(400, "invalid_request");
    let joined = format!("{0}, {0}", app.basic());
    let answer = setting.issuer.post(TOKEN, Some(&joined), &CLIENT).await;
    answer.assert_error(400, "invalid_request");
    setting.assert_works().await;
}

#[tokio::test]
async fn c7_c10_c13_c74_every_error_has_its_code() {
    let setting = Setting::start().await;
    let app = &setting.jwt;
    let login = [("grant_type", "password"), ("username", "ada")];
    let mut few = shop("few", TokenFormat::Jwt);
    few.grants = vec![GrantType::ClientCredentials.into()];
    let few = setting.stack.create_app(few).await.unwrap();
    let ask = async |form: &[(&str, &str)]| setting.ask(app, form).await;
    // C7
    ask(&[]).await.assert_error(400, "invalid_request");
    ask(&[("grant_type", "")]).await.assert_error(400, "invalid_request");
    for unknown in [
        "authorization_code",
        "implicit",
        "Password",
        "jwt_bearer",
        "unspecified",
        "\u{e9}\"\\",
    ] {
        ask(&[("grant_type", unknown)])
            .await
            .assert_error(400, "unsupported_grant_type");
    }
    for (missing, form) in [
        ("password", login.to_vec()),
        ("refresh_token", vec![("grant_type", "refresh_token")]),
        ("subject_token", vec![("grant_type", EXCHANGE)]),
        ("assertion", vec![("grant_type", JWT_BEARER)]),
    ] {
        let answer = ask(&form).await;
        answer.assert_error(400, "invalid_request");
        assert!(answer.text("error_description").contains(missing), "{answer:?}");
    }
    let wrong = [login[0], login[1], ("password", "wrong")];
    ask(&wrong).await.assert_error(400, "invalid_grant");
    setting.ask(&few, &wrong).await.assert_error(400, "unauthorized_client");
    // C13: what was sent never comes back.
    for scope in [
        "orders.ship",
        "orders.read  orders.write",
        " orders.read",
        "a\"b",
        "a\\b",
        "\u{e9}",
        "a\r\nb",
        "a\tb",
    ] {
        let answer = ask(&[CLIENT[0], ("scope", scope)]).await;
        answer.assert_error(400, "invalid_scope");
        assert!(
            !answer.body.contains("ship") && !answer.body.contains("a'b"),
            "{answer:?}"
        );
    }
    // C74
    for resource in [
        "orders-api",
        "/orders",
        "//orders.example",
        "https://orders.example/#a",
        "https:",
        " ",
        "#",
    ] {
        let answer = ask(&[CLIENT[0], ("resource", resource)]).await;
        answer.assert_error(400, "invalid_target");
    }
    let answer = ask(&[CLIENT[0], ("audience", "nobody")]).await;
    answer.assert_error(400, "invalid_target");
    let mut bound = shop("resources", TokenFormat::Opaque);
    bound.audiences = vec![
        "https://orders.example/api".to_owned(),
        "urn:example:stock".to_owned(),
        "orders-api".to_owned(),
    ];
    bound.default_audiences = vec!["orders-api".to_owned()];
    let bound = setting.stack.create_app(bound).await.unwrap();
    let form = [
        CLIENT[0],
        ("resource", "urn:example:stock"),
        ("audience", "orders-api"),
        ("resource", "https://orders.example/api"),
    ];
    let answer = setting.ask(&bound, &form).await;
    assert_issued(&answer);
    let told = setting.introspect(&answer.text("access_token")).await.json();
    let audiences = serde_json::json!(["https://orders.example/api", "orders-api", "urn:example:stock"]);
    assert_eq!(told["aud"], audiences, "`aud` follows `resource`");

    // C10
    let phone = setting.login(app, "phone").await;
    let token = phone.text("refresh_token");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let wider = [refresh[0], refresh[1], ("scope", "orders.read orders.write")];
    ask(&wider).await.assert_error(400, "invalid_scope");
    let foreign = setting.ask(&setting.opaque, &refresh).await;
    foreign.assert_error(400, "invalid_grant");
    // S14
    let other = [refresh[0], refresh[1], ("tokenBindingId", "tablet")];
    ask(&other).await.assert_error(400, "invalid_grant");
    let next = ask(&[refresh[0], refresh[1], ("tokenBindingId", "phone")]).await;
    assert_issued(&next);
    assert_ne!(next.text("refresh_token"), token);
    assert_eq!(next.json()["superseded"], true);
    setting.assert_works().await;
}

/// C12, and that what was thrown at the password of one does not hold up the other.
#[tokio::test]
async fn c12_guessing_is_held_up_and_told_when_to_come_back() {
    let setting = Setting::start().await;
    setting.stack.user("grace", PASSWORD).await;
    let guess = async |username: &str, password: &str| {
        let form = [
            ("grant_type", "password"),
            ("username", username),
            ("password", password),
        ];
        setting.ask(&setting.jwt, &form).await
    };
    let mut held_up = None;
    for _ in 0..20 {
        let answer = guess("ada", "wrong").await;
        if answer.status == 429 {
            held_up = Some(answer);
            break;
        }
        answer.assert_error(400, "invalid_grant");
    }
    let held_up = held_up.unwrap();
    held_up.assert_error(429, "too_many_attempts");
    let wait: u64 = held_up.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{held_up:?}");
    assert_eq!(guess("ada", PASSWORD).await.status, 429);
    assert_issued(&guess("grace", PASSWORD).await);
    wait_until("ada may try again", DEADLINE, async || {
        let answer = guess("ada", PASSWORD).await;
        (answer.status == 200).then_some(())
    })
    .await;
    setting.assert_works().await;
}

/// Applications whose binding type is another take no notice of an id, and the ones that demand one say so (S12).
#[tokio::test]
async fn s12_an_application_that_does_not_bind_ignores_the_id() {
    let setting = Setting::start().await;
    let mut unbound = shop("unbound", TokenFormat::Opaque);
    unbound.binding_type = BindingType::None.into();
    let unbound = setting.stack.create_app(unbound).await.unwrap();
    let mut strict = shop("strict", TokenFormat::Opaque);
    strict.require_binding = true;
    let strict = setting.stack.create_app(strict).await.unwrap();
    let ask = async |app: &App, id| setting.ask(app, &[CLIENT[0], ("tokenBindingId", id)]).await;
    let [one, other] = [ask(&unbound, "a").await, ask(&unbound, "b").await];
    assert_eq!(one.text("access_token"), other.text("access_token"));
    assert_eq!(
        (one.text("binding_type").as_str(), one.json().get("binding_ref")),
        ("none", None)
    );
    ask(&strict, "").await.assert_error(400, "invalid_request");
    assert_issued(&ask(&strict, "a").await);
}
