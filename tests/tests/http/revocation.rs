//! C21–C25: revocation (RFC 7009).

use tokenbind_tests::{DEADLINE, wait_until};

use crate::fixture::{REVOKE, Setting, TOKEN};

#[tokio::test]
async fn c21_to_c24_an_application_revokes_what_is_its_own() {
    let setting = Setting::start().await;
    let (own, foreign) = (&setting.jwt, &setting.opaque);
    let revoke = async |form: &[(&str, &str)]| setting.issuer.post(REVOKE, Some(&own.basic()), form).await;

    // C21
    let good = setting.login(own, "x").await.text("access_token");
    for unknown in ["x", "a.b.c", "tbo_x", "tbr_x", &good[1..], &"x".repeat(8_192)] {
        let answer = revoke(&[("token", unknown)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
        answer.assert_uncached();
    }
    // C22
    for member in ["access_token", "refresh_token"] {
        let theirs = setting.login(foreign, "phone").await;
        let answer = revoke(&[("token", &theirs.text(member))]).await;
        answer.assert_error(400, "unauthorized_client");
        Setting::assert_active(&setting.introspect(&theirs.text("access_token")).await);
    }
    // C23, and a secret in the body
    for hint in ["", "access_token", "refresh_token", "pat"] {
        let phone = setting.login(own, "phone").await.text("access_token");
        let tablet = setting.login(own, "tablet").await.text("access_token");
        let form = [
            ("token", phone.as_str()),
            ("token_type_hint", hint),
            ("client_id", &own.id),
            ("client_secret", &own.secret),
        ];
        let answer = setting.issuer.post(REVOKE, None, &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Setting::assert_inactive(&setting.introspect(&phone).await);
        Setting::assert_active(&setting.introspect(&tablet).await);
        // R5, and idempotent
        assert_eq!(revoke(&[("token", &phone)]).await.status, 200);
    }
    // C24
    let phone = setting.login(own, "phone").await;
    let refresh = phone.text("refresh_token");
    assert_eq!(
        revoke(&[("token", &refresh), ("token_type_hint", "access_token")])
            .await
            .status,
        200
    );
    Setting::assert_inactive(&setting.introspect(&phone.text("access_token")).await);
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    setting.ask(own, &form).await.assert_error(400, "invalid_grant");

    revoke(&[]).await.assert_error(400, "invalid_request");
    revoke(&[("token", "")]).await.assert_error(400, "invalid_request");
    revoke(&[("token", &"x".repeat(8_193))])
        .await
        .assert_error(400, "invalid_request");
    revoke(&[("token", "x"), ("token", "x")])
        .await
        .assert_error(400, "invalid_request");
    let nobody = setting.issuer.post(REVOKE, None, &[("token", &good)]).await;
    nobody.assert_error(401, "invalid_client");
    Setting::assert_active(&setting.introspect(&good).await);
    setting.assert_works().await;
}

/// C25, and the same of the other endpoints: deny, and say when to come back.
#[tokio::test]
async fn c25_without_a_store_nothing_is_a_success() {
    let mut setting = Setting::start().await;
    let token = setting.login(&setting.jwt, "phone").await.text("access_token");
    let redis = setting.stack.redis.take().unwrap();
    drop(redis);
    let form = [("token", token.as_str())];
    let revoked = setting.issuer.post(REVOKE, Some(&setting.jwt.basic()), &form).await;
    let issued = setting.ask(&setting.jwt, &[("grant_type", "client_credentials")]).await;
    for answer in [revoked, issued] {
        answer.assert_error(503, "temporarily_unavailable");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{answer:?}");
    }
    // What is kept is good for the lease (2 s by default); after that nothing is told.
    wait_until("nothing is told of a token", DEADLINE, async || {
        let answer = setting.introspect(&token).await;
        (answer.status == 503).then(|| answer.assert_error(503, "temporarily_unavailable"))
    })
    .await;
    // Nothing of it needs the store, or what was read last is good for a while.
    assert_eq!(setting.issuer.get(crate::fixture::JWKS).await.status, 200);
    assert_eq!(setting.issuer.get(crate::fixture::METADATA).await.status, 200);
    let unasked = setting.issuer.post(TOKEN, None, &[]).await;
    unasked.assert_error(400, "invalid_request");
}
