use std::time::Duration;

use secrecy::SecretString;
use tokenbind_index::{BindingId, Subject};
use tokenbind_proto::v1::{BindingType, TokenFormat};

use crate::admin_access::{ADMIN_AUDIENCE, ADMIN_SCOPE, AdminAccess, PresentedToken};
use crate::error::IssuerError;
use crate::test_support::{Harness, request, strings};

async fn administration(format: TokenFormat, binding_type: BindingType) -> (Harness, AdminAccess) {
    let harness = Harness::new();
    let change = |it: &mut tokenbind_proto::v1::Application| {
        it.binding_type = binding_type.into();
        it.scopes = strings(&[ADMIN_SCOPE, "read"]);
        it.audiences = strings(&[ADMIN_AUDIENCE, "orders"]);
        it.default_audiences = strings(&[ADMIN_AUDIENCE]);
    };
    harness.application("ops", format, change).await;
    let access = AdminAccess::of(&harness.issuer);
    (harness, access)
}

fn bearer(token: &SecretString) -> PresentedToken {
    PresentedToken {
        bearer: Some(token.clone()),
        ..PresentedToken::default()
    }
}

#[tokio::test]
async fn a_live_token_of_the_scope_and_audience_administers() {
    for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
        let (harness, access) = administration(format, BindingType::None).await;
        let token = harness.token("ops", "").await;
        let administrator = access.authorize(&bearer(&token.access_token)).await.unwrap();
        assert_eq!(administrator.client_id, "ops");
        assert_eq!(administrator.subject, Subject::Application("ops".to_owned()));
    }
}

#[tokio::test]
async fn no_token_a_foreign_one_and_a_dead_one_do_not() {
    let (harness, access) = administration(TokenFormat::Jwt, BindingType::None).await;
    let none = access.authorize(&PresentedToken::default()).await.unwrap_err();
    assert_eq!(none, IssuerError::CredentialsMissing);
    for foreign in ["x", "a.b.c", "tbo_x"] {
        let error = access
            .authorize(&bearer(&SecretString::from(foreign)))
            .await
            .unwrap_err();
        assert_eq!(error, IssuerError::InvalidToken);
    }
    let superseded = harness.token("ops", "").await;
    let live = harness.token("ops", "").await;
    assert_eq!(
        access.authorize(&bearer(&superseded.access_token)).await,
        Err(IssuerError::InvalidToken)
    );
    assert!(access.authorize(&bearer(&live.access_token)).await.is_ok());
    harness.clock.advance(Duration::from_secs(3_600));
    assert_eq!(
        access.authorize(&bearer(&live.access_token)).await,
        Err(IssuerError::InvalidToken)
    );
}

#[tokio::test]
async fn a_token_of_a_revoked_or_disabled_application_does_not() {
    let (harness, access) = administration(TokenFormat::Opaque, BindingType::None).await;
    let token = harness.token("ops", "").await;
    let kind = tokenbind_index::DocumentKind::Application;
    tokenbind_index::DocumentStore::raise_generation(&harness.memory, kind, "ops")
        .await
        .unwrap();
    assert_eq!(
        access.authorize(&bearer(&token.access_token)).await,
        Err(IssuerError::InvalidToken)
    );

    let token = harness.token("ops", "").await;
    assert!(access.authorize(&bearer(&token.access_token)).await.is_ok());
    harness
        .application("ops", TokenFormat::Opaque, |it| it.disabled = true)
        .await;
    assert_eq!(
        access.authorize(&bearer(&token.access_token)).await,
        Err(IssuerError::InvalidToken)
    );
}

#[tokio::test]
async fn another_scope_or_audience_does_not() {
    let (harness, access) = administration(TokenFormat::Jwt, BindingType::None).await;
    let both = [ADMIN_AUDIENCE, "orders"];
    for (scope, audiences) in [("read", &both[..1]), (ADMIN_SCOPE, &both[1..]), (ADMIN_SCOPE, &both)] {
        let mut request = request("ops", "");
        (request.scopes, request.audiences) = (strings(&[scope]), strings(audiences));
        let token = harness.issuer.issue_token(request).await.unwrap();
        let error = access.authorize(&bearer(&token.access_token)).await.unwrap_err();
        assert_eq!(error.reason(), "insufficient_scope");
    }
}

#[tokio::test]
async fn a_bound_token_needs_its_binding() {
    let (harness, access) = administration(TokenFormat::Opaque, BindingType::ClientRequest).await;
    let token = harness.token("ops", "console").await;
    let mut presented = bearer(&token.access_token);
    for wrong in [None, BindingId::parse("other").unwrap()] {
        presented.binding_id = wrong;
        assert_eq!(
            access.authorize(&presented).await.unwrap_err().reason(),
            "insufficient_scope"
        );
    }
    presented.binding_id = BindingId::parse("console").unwrap();
    assert!(access.authorize(&presented).await.is_ok());
}

#[tokio::test]
async fn a_certificate_bound_token_needs_its_certificate() {
    let (harness, access) = administration(TokenFormat::Jwt, BindingType::Certificate).await;
    let mut with_certificate = request("ops", "");
    with_certificate.certificate_sha256 = Some([7; 32]);
    let token = harness.issuer.issue_token(with_certificate).await.unwrap();
    let mut presented = bearer(&token.access_token);
    for wrong in [None, Some([8; 32])] {
        presented.certificate_sha256 = wrong;
        assert_eq!(access.authorize(&presented).await, Err(IssuerError::InvalidToken));
    }
    presented.certificate_sha256 = Some([7; 32]);
    assert!(access.authorize(&presented).await.is_ok());
}
