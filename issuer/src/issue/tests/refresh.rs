use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::{BindingId, DocumentKind, RefreshToken, Selection, Subject};
use tokenbind_proto::v1::{Application, BindingType, GrantType, RefreshTokenSettings, TokenFormat};

use crate::error::IssuerError;
use crate::grant;
use crate::issue::{IssueRequest, IssuedToken};
use crate::opaque::OpaqueKeys;
use crate::test_support::{Harness, claims, client, fields, request, request_for, strings, text};

const FORMATS: [TokenFormat; 2] = [TokenFormat::Jwt, TokenFormat::Opaque];

fn refreshable(it: &mut Application) {
    it.grants.push(GrantType::RefreshToken.into());
}

fn strict(it: &mut Application) {
    refreshable(it);
    it.refresh_tokens = Some(RefreshTokenSettings {
        grace_seconds: Some(0),
        ..RefreshTokenSettings::default()
    });
}

async fn shop(format: TokenFormat, change: impl FnOnce(&mut Application)) -> Harness {
    let harness = Harness::new();
    harness.application("shop", format, change).await;
    harness.user("alice", |_| {}).await;
    harness
}

/// A refresh token's text.
fn refresh(token: &IssuedToken) -> &str {
    token.refresh_token.as_ref().unwrap().token.expose_secret()
}

fn using(token: &IssuedToken) -> IssueRequest {
    with(refresh(token))
}

fn with(refresh_token: &str) -> IssueRequest {
    IssueRequest {
        grant: Box::new(grant::RefreshToken {
            token: SecretString::from(refresh_token),
        }),
        ..request("shop", "")
    }
}

impl Harness {
    async fn login(&self, binding_id: &str) -> IssuedToken {
        let issued = self.issuer.issue_token(request_for("shop", "alice", binding_id)).await;
        issued.unwrap()
    }

    async fn refresh(&self, token: &IssuedToken) -> Result<IssuedToken, IssuerError> {
        self.issuer.issue_token(using(token)).await
    }
}

#[tokio::test]
async fn c11_a_refresh_token_comes_with_a_login_alone_and_where_the_application_has_them() {
    for format in FORMATS {
        let harness = shop(format, refreshable).await;
        let token = harness.login("X").await;
        let refresh_token = token.refresh_token.as_ref().unwrap();
        assert_eq!(refresh_token.expires_in, 604_800);
        assert!(refresh(&token).starts_with("tbr_") && refresh(&token).len() == 120);
        assert!(harness.token("shop", "X").await.refresh_token.is_none());

        harness.application("plain", format, |_| {}).await;
        let plain = harness.issuer.issue_token(request_for("plain", "alice", "")).await;
        assert!(plain.unwrap().refresh_token.is_none());
        let mut refused = using(&token);
        refused.client = Some(client("plain"));
        let error = harness.issuer.issue_token(refused).await.unwrap_err();
        assert_eq!(error.reason(), "unauthorized_client");
    }
}

#[tokio::test]
async fn s13_refreshing_follows_the_rules_of_the_slot() {
    for format in FORMATS {
        let harness = shop(format, refreshable).await;
        let (first, other) = (harness.login("X").await, harness.login("Y").await);
        let second = harness.refresh(&first).await.unwrap();
        assert_ne!(refresh(&second), refresh(&first));
        assert_eq!(second.binding_ref, first.binding_ref);
        let reused = format == TokenFormat::Opaque;
        assert_eq!((second.reused, second.superseded), (reused, !reused));
        assert_eq!(text(&second) == text(&first), reused);
        assert!(harness.accepted(text(&second)).await && harness.accepted(text(&other)).await);
        assert_eq!(harness.accepted(text(&first)).await, reused);
        harness.refresh(&second).await.unwrap();
    }
}

#[tokio::test]
async fn s14_the_binding_is_inherited() {
    for format in FORMATS {
        let harness = shop(format, strict).await;
        let mut token = harness.login("X").await;
        for wrong in ["Y", "x", "X "] {
            let mut request = using(&token);
            request.binding_id = BindingId::parse(wrong).unwrap();
            let error = harness.issuer.issue_token(request).await.unwrap_err();
            assert_eq!(error, IssuerError::InvalidGrant, "{wrong}");
        }
        assert!(
            harness.accepted(text(&token)).await,
            "a refused refresh leaves everything"
        );
        for right in ["X", "", "X"] {
            let mut request = using(&token);
            request.binding_id = BindingId::parse(right).unwrap();
            let next = harness.issuer.issue_token(request).await.unwrap();
            assert_eq!(next.binding_ref, token.binding_ref);
            token = next;
        }
        let unbound = harness.login("").await;
        let mut request = using(&unbound);
        request.binding_id = BindingId::parse("X").unwrap();
        let error = harness.issuer.issue_token(request).await.unwrap_err();
        assert_eq!(error, IssuerError::InvalidGrant);
        assert!(harness.refresh(&unbound).await.unwrap().binding_ref.is_none());
    }
}

#[tokio::test]
async fn s12_an_application_without_bindings_ignores_the_id() {
    let harness = shop(TokenFormat::Jwt, |it| {
        refreshable(it);
        it.set_binding_type(BindingType::None);
    })
    .await;
    let mut request = using(&harness.login("X").await);
    request.binding_id = BindingId::parse("Y").unwrap();
    assert!(harness.issuer.issue_token(request).await.unwrap().binding_ref.is_none());
}

#[tokio::test]
async fn a_certificate_has_to_be_shown_again() {
    let harness = shop(TokenFormat::Jwt, |it| {
        strict(it);
        it.set_binding_type(BindingType::Certificate);
    })
    .await;
    let mut login = request_for("shop", "alice", "");
    login.certificate_sha256 = Some([1; 32]);
    let token = harness.issuer.issue_token(login).await.unwrap();
    for wrong in [None, Some([2; 32])] {
        let mut request = using(&token);
        request.certificate_sha256 = wrong;
        let error = harness.issuer.issue_token(request).await.unwrap_err();
        assert_eq!(error, IssuerError::InvalidGrant);
    }
    let mut request = using(&token);
    request.certificate_sha256 = Some([1; 32]);
    let next = harness.issuer.issue_token(request).await.unwrap();
    let record = harness.live(text(&next)).await.unwrap();
    assert_eq!(record.certificate_sha256, [1; 32]);
    assert!(claims(text(&next))["cnf"]["x5t#S256"].is_string());
}

#[tokio::test]
async fn c10_scopes_and_audiences_narrow_and_never_widen() {
    let harness = shop(TokenFormat::Jwt, |it| {
        strict(it);
        it.scopes = strings(&["admin", "read", "write"]);
        it.default_scopes = strings(&["read", "write"]);
        it.default_audiences = strings(&["orders"]);
    })
    .await;
    let token = harness.login("X").await;
    let mut wider = using(&token);
    wider.scopes = strings(&["read", "admin"]);
    let error = harness.issuer.issue_token(wider).await.unwrap_err();
    assert_eq!((error.reason(), fields(&error)), ("invalid_scope", vec!["scopes[1]"]));
    let mut elsewhere = using(&token);
    elsewhere.audiences = strings(&["stock"]);
    let error = harness.issuer.issue_token(elsewhere).await.unwrap_err();
    assert_eq!(
        (error.reason(), fields(&error)),
        ("invalid_target", vec!["audiences[0]"])
    );

    let mut narrow = using(&token);
    narrow.scopes = strings(&["read"]);
    let narrowed = harness.issuer.issue_token(narrow).await.unwrap();
    assert_eq!(Vec::from_iter(&narrowed.scopes), ["read"]);
    assert!(harness.accepted(text(&token)).await, "another slot");
    let whole = harness.refresh(&narrowed).await.unwrap();
    assert_eq!(
        Vec::from_iter(&whole.scopes),
        ["read", "write"],
        "what was granted at the login"
    );
}

#[tokio::test]
async fn c9_a_narrowed_scope_that_lands_in_an_occupied_slot_follows_its_rules() {
    for format in FORMATS {
        let harness = shop(format, refreshable).await;
        let mut narrow = request_for("shop", "alice", "X");
        narrow.scopes = strings(&["read"]);
        let occupant = harness.issuer.issue_token(narrow).await.unwrap();
        let token = harness.login("X").await;
        let mut request = using(&token);
        request.scopes = strings(&["read"]);
        let next = harness.issuer.issue_token(request).await.unwrap();
        let opaque = format == TokenFormat::Opaque;
        assert_eq!((next.reused, next.superseded), (opaque, !opaque));
        assert_eq!(text(&next) == text(&occupant), opaque);
        assert!(harness.accepted(text(&token)).await);
    }
}

#[tokio::test]
async fn c10_another_clients_token_is_refused_and_not_consumed() {
    let harness = shop(TokenFormat::Jwt, strict).await;
    harness.application("other", TokenFormat::Jwt, strict).await;
    let token = harness.login("X").await;
    let mut stolen = using(&token);
    stolen.client = Some(client("other"));
    let error = harness.issuer.issue_token(stolen).await.unwrap_err();
    assert_eq!(error, IssuerError::InvalidGrant);
    harness.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn what_was_not_derived_is_refused_without_a_look() {
    let harness = shop(TokenFormat::Jwt, strict).await;
    let token = harness.login("X").await;
    let genuine = RefreshToken::decode(refresh(&token)).unwrap();
    let forged = |change: fn(&mut RefreshToken)| {
        let mut token = genuine;
        change(&mut token);
        token.encode()
    };
    let mut cut = refresh(&token).to_owned();
    cut.pop();
    let forgeries = [
        forged(|it| it.secret[0] ^= 1),
        forged(|it| it.sequence += 1),
        forged(|it| it.family.position.index += 1),
        forged(|it| it.family.nonce.0[0] ^= 1),
        cut,
        "tbr_".to_owned(),
        "x".to_owned(),
        text(&token).to_owned(),
    ];
    for forgery in forgeries {
        let error = harness.issuer.issue_token(with(&forgery)).await.unwrap_err();
        assert_eq!(error, IssuerError::InvalidGrant, "{forgery}");
        let secret = SecretString::from(forgery.clone());
        if forgery != text(&token) {
            harness
                .issuer
                .revoke_token(Some(&client("shop")), &secret)
                .await
                .unwrap();
        }
    }
    // A refresh token is no access token.
    assert!(harness.live(refresh(&token)).await.is_none());
    harness.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn c75_reuse_ends_the_login_and_its_tokens_alone() {
    for format in FORMATS {
        let harness = shop(format, strict).await;
        let (first, other) = (harness.login("X").await, harness.login("Y").await);
        let second = harness.refresh(&first).await.unwrap();
        // Whatever else the thief's request asks.
        let mut reuse = using(&first);
        reuse.scopes = strings(&["nothing"]);
        let error = harness.issuer.issue_token(reuse).await.unwrap_err();
        assert_eq!(error, IssuerError::InvalidGrant);
        assert!(!harness.accepted(text(&second)).await);
        assert_eq!(harness.refresh(&second).await.unwrap_err(), IssuerError::InvalidGrant);
        assert!(harness.accepted(text(&other)).await);
        harness.refresh(&other).await.unwrap();
    }
}

#[tokio::test]
async fn c75_within_the_grace_a_lost_answer_is_given_again() {
    for format in FORMATS {
        let harness = shop(format, refreshable).await;
        let first = harness.login("X").await;
        let second = harness.refresh(&first).await.unwrap();
        harness.clock.advance(Duration::from_secs(9));
        let again = harness.refresh(&first).await.unwrap();
        assert_eq!(refresh(&again), refresh(&second));
        assert!(harness.accepted(text(&again)).await);
        let third = harness.refresh(&second).await.unwrap();
        harness.clock.advance(Duration::from_secs(11));
        assert_eq!(harness.refresh(&second).await.unwrap_err(), IssuerError::InvalidGrant);
        assert_eq!(harness.refresh(&third).await.unwrap_err(), IssuerError::InvalidGrant);
    }
}

#[tokio::test]
async fn c24_revoking_a_refresh_token_kills_its_access_tokens() {
    for format in FORMATS {
        for old in [false, true] {
            let harness = shop(format, refreshable).await;
            let (first, other) = (harness.login("X").await, harness.login("Y").await);
            let second = harness.refresh(&first).await.unwrap();
            let revoked = SecretString::from(refresh(if old { &first } else { &second }));
            harness.application("other", format, |_| {}).await;
            let error = harness.issuer.revoke_token(Some(&client("other")), &revoked).await;
            assert_eq!(error.unwrap_err().reason(), "unauthorized_client", "C22");
            assert!(harness.accepted(text(&second)).await);
            harness
                .issuer
                .revoke_token(Some(&client("shop")), &revoked)
                .await
                .unwrap();
            assert!(!harness.accepted(text(&second)).await);
            assert_eq!(harness.refresh(&second).await.unwrap_err(), IssuerError::InvalidGrant);
            harness
                .issuer
                .revoke_token(Some(&client("shop")), &revoked)
                .await
                .unwrap();
            assert!(harness.accepted(text(&other)).await);
        }
    }
}

#[tokio::test]
async fn r3_r4_revocations_reach_refresh_tokens() {
    let harness = shop(TokenFormat::Jwt, strict).await;
    let token = harness.login("X").await;
    let home = Subject::User("alice".to_owned()).home();
    harness
        .issuer
        .store
        .revoke_subject(home, Selection::default())
        .await
        .unwrap();
    assert_eq!(harness.refresh(&token).await.unwrap_err(), IssuerError::InvalidGrant);

    let token = harness.login("X").await;
    let raised = harness
        .issuer
        .store
        .raise_generation(DocumentKind::Application, "shop")
        .await;
    raised.unwrap().unwrap();
    assert_eq!(harness.refresh(&token).await.unwrap_err(), IssuerError::InvalidGrant);
    let token = harness.login("X").await;
    harness.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn the_user_counts_as_of_now() {
    let harness = shop(TokenFormat::Jwt, strict).await;
    let token = harness.login("X").await;
    harness.user("alice", |it| it.scopes = strings(&["read"])).await;
    let token = harness.refresh(&token).await.unwrap();
    assert_eq!(Vec::from_iter(&token.scopes), ["read"]);
    harness.user("alice", |it| it.scopes = strings(&["else"])).await;
    let error = harness.refresh(&token).await.unwrap_err();
    assert_eq!(error.reason(), "invalid_scope");
    harness.user("alice", |it| it.disabled = true).await;
    assert_eq!(harness.refresh(&token).await.unwrap_err(), IssuerError::InvalidGrant);
    harness.user("alice", |_| {}).await;
    harness.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn s17_what_the_application_demands_by_now_counts() {
    let harness = shop(TokenFormat::Jwt, strict).await;
    let (bound, unbound) = (harness.login("X").await, harness.login("").await);
    harness
        .application("shop", TokenFormat::Opaque, |it| {
            strict(it);
            it.require_binding = true;
            it.scopes = strings(&["read"]);
        })
        .await;
    assert_eq!(harness.refresh(&unbound).await.unwrap_err(), IssuerError::InvalidGrant);
    let next = harness.refresh(&bound).await.unwrap();
    assert!(text(&next).starts_with("tbo_"));
    assert_eq!(Vec::from_iter(&next.scopes), ["read"]);
    harness.application("shop", TokenFormat::Opaque, |_| {}).await;
    let error = harness.refresh(&next).await.unwrap_err();
    assert_eq!(error.reason(), "unauthorized_client");
}

#[tokio::test]
async fn lifetimes_are_of_the_login_and_of_the_last_use() {
    let harness = shop(TokenFormat::Jwt, |it| {
        refreshable(it);
        it.refresh_tokens = Some(RefreshTokenSettings {
            lifetime_seconds: 100,
            idle_lifetime_seconds: 60,
            ..RefreshTokenSettings::default()
        });
    })
    .await;
    let left = |token: &IssuedToken| token.refresh_token.as_ref().unwrap().expires_in;
    let token = harness.login("X").await;
    harness.clock.advance(Duration::from_secs(50));
    let token = (harness.refresh(&token).await.unwrap(), left(&token));
    assert_eq!((token.1, left(&token.0), token.0.expires_in), (60, 50, 3_600));
    harness.clock.advance(Duration::from_secs(50));
    assert_eq!(harness.refresh(&token.0).await.unwrap_err(), IssuerError::InvalidGrant);
    // The access token goes on for its own lifetime.
    assert!(harness.accepted(text(&token.0)).await);
}

#[tokio::test]
async fn a_key_that_is_rotated_is_left_behind_at_the_next_use() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, byte| std::fs::write(folder.path().join(name), [byte; 32]).unwrap();
    let mut harness = shop(TokenFormat::Opaque, refreshable).await;
    write("2026-01", 0xf1);
    harness.issuer.opaque_keys = OpaqueKeys::load(folder.path()).unwrap().into();
    let first = harness.login("X").await;
    write("2026-02", 0xf2);
    harness.issuer.opaque_keys = OpaqueKeys::load(folder.path()).unwrap().into();
    let second = harness.refresh(&first).await.unwrap();
    let again = harness.refresh(&first).await.unwrap();
    assert_eq!(refresh(&again), refresh(&second));
    std::fs::remove_file(folder.path().join("2026-01")).unwrap();
    harness.issuer.opaque_keys = OpaqueKeys::load(folder.path()).unwrap().into();
    assert_eq!(harness.refresh(&first).await.unwrap_err(), IssuerError::InvalidGrant);
    // S5: the live access token was derived with the key that is gone, so it is replaced; the refresh token is good for one all
    // the same.
    let third = harness.refresh(&second).await.unwrap();
    assert!(third.superseded && text(&third) != text(&second));
    let record = harness
        .issuer
        .store
        .read_family(&RefreshToken::decode(refresh(&third)).unwrap().family)
        .await;
    assert_eq!(record.unwrap().unwrap().sequence, 3);
    // Whoever has the key no more can still end what is the caller's own.
    let old = SecretString::from(refresh(&third));
    std::fs::remove_file(folder.path().join("2026-02")).unwrap();
    write("2026-03", 0xf3);
    harness.issuer.opaque_keys = OpaqueKeys::load(folder.path()).unwrap().into();
    harness.issuer.revoke_token(Some(&client("shop")), &old).await.unwrap();
    assert!(!harness.accepted(text(&third)).await);
}
