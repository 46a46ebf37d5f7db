//! Applications and their secrets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokenbind_index::{DocumentKind, DocumentStore as _};
use tokenbind_proto::v1::claim_mapping::Value;
use tokenbind_proto::v1::{
    Application, BindingType, ClaimMapping, ClientAuthentication, ClientAuthenticationMethod, GrantType,
    RefreshTokenSettings, Source, TokenFormat,
};

use super::{application, bench, fields, paths};
use crate::admin::applications::FIELDS;
use crate::error::IssuerError;

#[tokio::test]
async fn a_created_application_is_stored_with_a_digest_alone() {
    let bench = bench();
    let (made, secret) = bench.admin.create_application(Some(application("shop"))).await.unwrap();
    let secret = secret.unwrap();
    assert_eq!((made.source(), made.binding_type()), (Source::Api, BindingType::None));
    assert_eq!(bench.admin.get_application("shop").await.unwrap(), made);
    assert!(bench.secret_is_good("shop", secret.expose()).await);
    let stored = bench
        .store
        .document(DocumentKind::Application, "shop")
        .await
        .unwrap()
        .unwrap();
    assert!(
        !stored
            .body
            .windows(secret.expose().len())
            .any(|part| part == secret.expose().as_bytes())
    );
}

#[tokio::test]
async fn an_update_changes_what_the_mask_names_and_keeps_the_secret() {
    let bench = bench();
    let (_, secret) = bench.admin.create_application(Some(application("shop"))).await.unwrap();
    let secret = secret.unwrap();
    let wanted = Application {
        disabled: true,
        scopes: vec!["other".into()],
        ..application("shop")
    };
    let changed = bench
        .admin
        .update_application(Some(wanted), &paths(&["disabled"]))
        .await
        .unwrap();
    assert!(changed.disabled);
    assert_eq!(changed.scopes, ["orders.read"]);
    assert!(bench.secret_is_good("shop", secret.expose()).await);
    for name in ["client_id", "source", "nothing"] {
        let refused = bench
            .admin
            .update_application(Some(application("shop")), &paths(&[name]))
            .await;
        assert_eq!(fields(refused), ["update_mask.paths[0]"]);
    }
}

#[tokio::test]
async fn an_update_may_not_contradict_what_stays() {
    let bench = bench();
    let bound = Application {
        binding_type: BindingType::ClientRequest.into(),
        require_binding: true,
        ..application("shop")
    };
    bench.admin.create_application(Some(bound)).await.unwrap();
    let refused = bench
        .admin
        .update_application(Some(application("shop")), &paths(&["binding_type"]))
        .await;
    assert_eq!(fields(refused), ["application.require_binding"]);
    let allowed = paths(&["binding_type", "require_binding"]);
    let changed = bench
        .admin
        .update_application(Some(application("shop")), &allowed)
        .await
        .unwrap();
    assert_eq!(changed.binding_type(), BindingType::None);
}

#[tokio::test]
async fn every_field_of_an_update_is_taken_over() {
    let bench = bench();
    bench.admin.create_application(Some(application("shop"))).await.unwrap();
    let wanted = Application {
        display_name: "Shop".into(),
        token_format: TokenFormat::Opaque.into(),
        binding_type: BindingType::ClientRequest.into(),
        require_binding: true,
        enforce_binding: true,
        grants: vec![GrantType::Password.into(), GrantType::RefreshToken.into()],
        scopes: vec!["a".into(), "b".into()],
        default_scopes: vec!["a".into()],
        audiences: vec!["x".into(), "y".into()],
        default_audiences: vec!["x".into()],
        access_token_lifetime_seconds: 60,
        max_bindings_per_subject: 3,
        binding_limit_policy: 2,
        claims: vec![ClaimMapping {
            name: "tenant".into(),
            value: Some(Value::StaticValue("t".into())),
        }],
        disabled: true,
        source: Source::Api.into(),
        client_id: "shop".into(),
        client_authentication: Some(ClientAuthentication {
            methods: vec![ClientAuthenticationMethod::Secret.into()],
            ..ClientAuthentication::default()
        }),
        refresh_tokens: Some(RefreshTokenSettings {
            lifetime_seconds: 60,
            grace_seconds: Some(0),
            ..RefreshTokenSettings::default()
        }),
    };
    let all: Vec<_> = FIELDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(
        bench
            .admin
            .update_application(Some(wanted.clone()), &all)
            .await
            .unwrap(),
        wanted
    );
    assert_eq!(bench.admin.get_application("shop").await.unwrap(), wanted);
}

#[tokio::test]
async fn an_update_over_somebody_elses_is_a_conflict() {
    let bench = bench();
    bench.admin.create_application(Some(application("shop"))).await.unwrap();
    bench.store.conflicts.store(1, Ordering::SeqCst);
    let result = bench
        .admin
        .update_application(Some(application("shop")), &paths(&["disabled"]))
        .await;
    assert_eq!(result.unwrap_err(), IssuerError::Conflict("application"));
}

#[tokio::test]
async fn a_rotated_secret_is_good_beside_the_earlier_one_for_the_overlap() {
    let bench = bench();
    let (_, first) = bench.admin.create_application(Some(application("shop"))).await.unwrap();
    let first = first.unwrap();
    bench.store.conflicts.store(2, Ordering::SeqCst);
    let rotated = bench.admin.rotate_application_secret("shop", 60).await.unwrap();
    assert_eq!(rotated.previous_expire_at, Some(1_800_000_060));
    bench.clock.advance(Duration::from_secs(59));
    assert!(bench.secret_is_good("shop", first.expose()).await);
    assert!(bench.secret_is_good("shop", rotated.secret.expose()).await);
    bench.clock.advance(Duration::from_secs(1));
    assert!(!bench.secret_is_good("shop", first.expose()).await);
    assert!(bench.secret_is_good("shop", rotated.secret.expose()).await);
}

#[tokio::test]
async fn rotation_gives_up_when_somebody_else_is_always_first() {
    let bench = bench();
    bench.admin.create_application(Some(application("shop"))).await.unwrap();
    bench.store.conflicts.store(u32::MAX, Ordering::SeqCst);
    let result = bench.admin.rotate_application_secret("shop", 60).await;
    assert_eq!(result.unwrap_err(), IssuerError::Conflict("application"));
}

#[tokio::test]
async fn r4_a_deleted_applications_generation_does_not_come_back() {
    let bench = bench();
    bench.admin.create_application(Some(application("shop"))).await.unwrap();
    let first = bench
        .store
        .document(DocumentKind::Application, "shop")
        .await
        .unwrap()
        .unwrap();
    bench.admin.delete_application("shop").await.unwrap();
    assert_eq!(
        bench.admin.get_application("shop").await.unwrap_err(),
        IssuerError::NotFound("application")
    );
    assert_eq!(
        bench.admin.delete_application("shop").await.unwrap_err(),
        IssuerError::NotFound("application")
    );
    // A token of the longest lifetime ends before this is forgotten.
    bench.clock.advance(Duration::from_secs(86_400));
    bench.admin.create_application(Some(application("shop"))).await.unwrap();
    let document = bench
        .store
        .document(DocumentKind::Application, "shop")
        .await
        .unwrap()
        .unwrap();
    assert!(document.generation > first.generation);
}
