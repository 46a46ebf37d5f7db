//! The use cases over the embedded store.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::SecretString;
use tokenbind_index::{Clock, DocumentKind, DocumentStore as _, Entropy, ManualClock, SecretHash};
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, UserRecord};
use tokenbind_proto::v1::{Application, BindingType, GrantType, Resource, Source, TokenFormat, User};

use super::{Administration, PageRequest};
use crate::declared::documents::{self, Declared};
use crate::declared::test_support::{CountingEntropy, FaultyStore};
use crate::error::IssuerError;
use crate::password::PasswordPool;

struct Bench {
    admin: Administration,
    store: Arc<FaultyStore>,
    clock: Arc<ManualClock>,
}

fn bench() -> Bench {
    let clock = Arc::new(ManualClock::new(1_800_000_000_000_000));
    let store = Arc::new(FaultyStore::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
    let admin = Administration {
        store: Arc::clone(&store) as _,
        clock: Arc::clone(&clock) as _,
        passwords: Arc::new(PasswordPool::new(NonZeroUsize::MIN, entropy.as_ref()).unwrap()),
        entropy,
    };
    Bench { admin, store, clock }
}

impl Bench {
    async fn record<R: Declared>(&self, id: &str) -> R {
        documents::get::<R>(self.store.as_ref(), id).await.unwrap().record
    }

    async fn put<R: Declared>(&self, id: &str, record: &R) {
        let stored = documents::put(self.store.as_ref(), id, record, tokenbind_index::Expect::Any).await;
        assert!(stored.unwrap().is_some());
    }

    async fn secret_is_good(&self, client_id: &str, secret: &str) -> bool {
        let now = i64::try_from(self.clock.now_seconds()).unwrap();
        let secrets = self.record::<ApplicationRecord>(client_id).await.secrets;
        secrets
            .iter()
            .any(|one| SecretHash::of(secret).matches(&one.sha256) && (one.expires_at == 0 || one.expires_at > now))
    }

    /// Puts one of each that the catalog declared.
    async fn declare(&self) {
        let catalog = Source::Catalog.into();
        let application = Application {
            source: catalog,
            ..application("declared")
        };
        let user = User {
            source: catalog,
            ..user("declared")
        };
        let resource = Resource {
            source: catalog,
            ..resource("declared")
        };
        self.put(
            "declared",
            &ApplicationRecord {
                application: Some(application),
                secrets: Vec::new(),
            },
        )
        .await;
        self.put(
            "declared",
            &UserRecord {
                user: Some(user),
                password_hash: String::new(),
            },
        )
        .await;
        self.put(
            "declared",
            &ResourceRecord {
                resource: Some(resource),
                secrets: Vec::new(),
            },
        )
        .await;
    }
}

fn application(client_id: &str) -> Application {
    Application {
        client_id: client_id.into(),
        token_format: TokenFormat::Jwt.into(),
        grants: vec![GrantType::ClientCredentials.into()],
        scopes: vec!["orders.read".into()],
        audiences: vec!["orders".into()],
        ..Application::default()
    }
}

fn user(username: &str) -> User {
    User {
        username: username.into(),
        ..User::default()
    }
}

fn resource(resource_id: &str) -> Resource {
    Resource {
        resource_id: resource_id.into(),
        accepted_client_ids: vec!["shop".into()],
        ..Resource::default()
    }
}

fn password(text: &str) -> SecretString {
    text.to_owned().into()
}

fn paths(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn fields<T: std::fmt::Debug>(result: Result<T, IssuerError>) -> Vec<String> {
    match result {
        Err(IssuerError::Invalid { violations, .. }) => violations.into_iter().map(|one| one.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_created_application_is_stored_with_a_digest_alone() {
    let bench = bench();
    let (made, secret) = bench.admin.create_application(Some(application("shop"))).await.unwrap();
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
async fn what_a_client_says_of_the_source_is_ignored() {
    let bench = bench();
    let forged = Source::Catalog.into();
    let (made, _) = bench
        .admin
        .create_application(Some(Application {
            source: forged,
            ..application("a")
        }))
        .await
        .unwrap();
    assert_eq!(made.source(), Source::Api);
    let made = bench
        .admin
        .create_user(
            Some(User {
                source: forged,
                ..user("a")
            }),
            password("correct horse"),
        )
        .await
        .unwrap();
    assert_eq!(made.source(), Source::Api);
    let (made, _) = bench
        .admin
        .create_resource(Some(Resource {
            source: forged,
            ..resource("a")
        }))
        .await
        .unwrap();
    assert_eq!(made.source(), Source::Api);
}

#[tokio::test]
async fn violations_have_the_path_in_the_request() {
    let bench = bench();
    assert_eq!(fields(bench.admin.create_application(None).await), ["application"]);
    let bad = Application {
        token_format: 0,
        ..application("user:x")
    };
    assert_eq!(
        fields(bench.admin.create_application(Some(bad)).await),
        ["application.client_id", "application.token_format"]
    );
    let bad = bench.admin.create_user(Some(user("")), password("short")).await;
    assert_eq!(fields(bad), ["user.username", "password"]);
    assert_eq!(
        fields(bench.admin.create_resource(Some(resource(""))).await),
        ["resource.resource_id"]
    );
    assert_eq!(fields(bench.admin.get_application("").await), ["client_id"]);
    assert_eq!(
        fields(bench.admin.rotate_application_secret("", 2_592_001).await),
        ["client_id", "overlap_seconds"]
    );
}

#[tokio::test]
async fn nothing_is_made_twice() {
    let bench = bench();
    bench.admin.create_application(Some(application("a"))).await.unwrap();
    bench
        .admin
        .create_user(Some(user("a")), password("correct horse"))
        .await
        .unwrap();
    bench.admin.create_resource(Some(resource("a"))).await.unwrap();
    let again = bench
        .admin
        .create_application(Some(application("a")))
        .await
        .unwrap_err();
    assert_eq!(again, IssuerError::AlreadyExists("application"));
    let again = bench
        .admin
        .create_user(Some(user("a")), password("correct horse"))
        .await
        .unwrap_err();
    assert_eq!(again, IssuerError::AlreadyExists("user"));
    let again = bench.admin.create_resource(Some(resource("a"))).await.unwrap_err();
    assert_eq!(again, IssuerError::AlreadyExists("resource"));
}

#[tokio::test]
async fn an_update_changes_what_the_mask_names_and_keeps_the_secret() {
    let bench = bench();
    let (_, secret) = bench.admin.create_application(Some(application("shop"))).await.unwrap();
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
        grants: vec![GrantType::Password.into()],
        scopes: vec!["a".into(), "b".into()],
        default_scopes: vec!["a".into()],
        audiences: vec!["x".into(), "y".into()],
        default_audiences: vec!["x".into()],
        access_token_lifetime_seconds: 60,
        max_bindings_per_subject: 3,
        binding_limit_policy: 2,
        claims: vec![tokenbind_proto::v1::ClaimMapping {
            name: "tenant".into(),
            value: Some(tokenbind_proto::v1::claim_mapping::Value::StaticValue("t".into())),
        }],
        disabled: true,
        source: Source::Api.into(),
        client_id: "shop".into(),
    };
    let all: Vec<_> = super::applications::FIELDS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
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
    assert_eq!(document.generation, 2);
}

#[tokio::test]
async fn a_users_password_is_stored_as_argon2id() {
    let bench = bench();
    bench
        .admin
        .create_user(Some(user("alice")), password("correct horse"))
        .await
        .unwrap();
    let hash = bench.record::<UserRecord>("alice").await.password_hash;
    assert_eq!(crate::declared::check_password_hash(&hash), None, "{hash}");
    assert!(
        bench
            .admin
            .passwords
            .verify(password("correct horse"), Some(hash))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_new_password_and_being_disabled_revoke_the_users_tokens() {
    let bench = bench();
    bench
        .admin
        .create_user(Some(user("alice")), password("correct horse"))
        .await
        .unwrap();
    bench.store.issue_to("alice").await;
    let attributes = User {
        attributes: [("tier".into(), "gold".into())].into(),
        ..user("alice")
    };
    bench
        .admin
        .update_user(Some(attributes), &paths(&["attributes"]), password(""))
        .await
        .unwrap();
    assert!(bench.store.is_live("alice").await, "other changes touch no token");

    bench
        .admin
        .update_user(Some(user("alice")), &paths(&["password"]), password("battery staple"))
        .await
        .unwrap();
    assert!(!bench.store.is_live("alice").await);
    let hash = bench.record::<UserRecord>("alice").await.password_hash;
    assert!(
        bench
            .admin
            .passwords
            .verify(password("battery staple"), Some(hash))
            .await
            .unwrap()
    );

    bench.store.issue_to("alice").await;
    let disabled = User {
        disabled: true,
        ..user("alice")
    };
    bench
        .admin
        .update_user(Some(disabled), &paths(&["disabled"]), password(""))
        .await
        .unwrap();
    assert!(!bench.store.is_live("alice").await);
}

#[tokio::test]
async fn a_revocation_that_failed_is_an_error_and_the_same_call_finishes_it() {
    let bench = bench();
    bench
        .admin
        .create_user(Some(user("alice")), password("correct horse"))
        .await
        .unwrap();
    bench.store.issue_to("alice").await;
    bench.store.no_revocation.store(true, Ordering::SeqCst);
    let disabled = User {
        disabled: true,
        ..user("alice")
    };
    let failed = bench
        .admin
        .update_user(Some(disabled.clone()), &paths(&["disabled"]), password(""))
        .await;
    assert!(matches!(failed, Err(IssuerError::Unavailable(_))), "{failed:?}");
    bench.store.no_revocation.store(false, Ordering::SeqCst);
    bench
        .admin
        .update_user(Some(disabled), &paths(&["disabled"]), password(""))
        .await
        .unwrap();
    assert!(!bench.store.is_live("alice").await);
}

#[tokio::test]
async fn a_deletion_that_failed_leaves_the_user_disabled_and_the_same_call_finishes_it() {
    let bench = bench();
    bench
        .admin
        .create_user(Some(user("alice")), password("correct horse"))
        .await
        .unwrap();
    bench.store.issue_to("alice").await;
    bench.store.no_revocation.store(true, Ordering::SeqCst);
    assert!(matches!(
        bench.admin.delete_user("alice").await,
        Err(IssuerError::Unavailable(_))
    ));
    assert!(bench.admin.get_user("alice").await.unwrap().disabled);
    let enabled = bench
        .admin
        .update_user(Some(user("alice")), &paths(&["disabled"]), password(""))
        .await;
    assert_eq!(
        fields(enabled),
        ["password"],
        "the password is gone, so nothing could be proven"
    );

    bench.store.no_revocation.store(false, Ordering::SeqCst);
    bench.admin.delete_user("alice").await.unwrap();
    assert!(!bench.store.is_live("alice").await);
    assert_eq!(
        bench.admin.get_user("alice").await.unwrap_err(),
        IssuerError::NotFound("user")
    );
    assert_eq!(
        bench.admin.delete_user("alice").await.unwrap_err(),
        IssuerError::NotFound("user")
    );
}

#[tokio::test]
async fn resources_are_updated_and_deleted() {
    let bench = bench();
    bench.admin.create_resource(Some(resource("orders"))).await.unwrap();
    let wanted = Resource {
        audiences: vec!["a".into()],
        accepted_client_ids: vec!["b".into()],
        accepted_scopes: vec!["c".into()],
        enforce_binding: true,
        accepted_binding_types: vec![BindingType::ClientRequest.into()],
        source: Source::Api.into(),
        resource_id: "orders".into(),
    };
    let all: Vec<_> = super::resources::FIELDS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(
        bench.admin.update_resource(Some(wanted.clone()), &all).await.unwrap(),
        wanted
    );
    assert_eq!(bench.record::<ResourceRecord>("orders").await.secrets.len(), 1);
    bench.admin.delete_resource("orders").await.unwrap();
    assert_eq!(
        bench.admin.get_resource("orders").await.unwrap_err(),
        IssuerError::NotFound("resource")
    );
}

#[tokio::test]
async fn what_the_catalog_declares_is_read_only() {
    let bench = bench();
    bench.declare().await;
    let admin = &bench.admin;
    let disabled = paths(&["disabled"]);
    let refusals = [
        admin
            .update_application(Some(application("declared")), &disabled)
            .await
            .unwrap_err(),
        admin.delete_application("declared").await.unwrap_err(),
        admin.rotate_application_secret("declared", 0).await.unwrap_err(),
        admin
            .update_user(Some(user("declared")), &disabled, password(""))
            .await
            .unwrap_err(),
        admin.delete_user("declared").await.unwrap_err(),
        admin
            .update_resource(Some(resource("declared")), &paths(&["audiences"]))
            .await
            .unwrap_err(),
        admin.delete_resource("declared").await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, IssuerError::DeclaredInCatalog(_)), "{refusal}");
    }
    assert_eq!(
        admin.get_application("declared").await.unwrap().source(),
        Source::Catalog
    );
}

#[tokio::test]
async fn lists_come_in_pages_by_id() {
    let bench = bench();
    for id in ["b", "c", "a"] {
        bench.admin.create_application(Some(application(id))).await.unwrap();
    }
    let first = bench
        .admin
        .list_applications(&PageRequest::parse(2, "").unwrap())
        .await
        .unwrap();
    let ids: Vec<_> = first.members.iter().map(|one| one.client_id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    let second = PageRequest::parse(2, &first.next_page_token).unwrap();
    let second = bench.admin.list_applications(&second).await.unwrap();
    assert_eq!(second.members[0].client_id, "c");
    assert_eq!(second.next_page_token, "");
    let exactly = bench
        .admin
        .list_applications(&PageRequest::parse(3, "").unwrap())
        .await
        .unwrap();
    assert_eq!(exactly.next_page_token, "");
    assert!(
        bench
            .admin
            .list_users(&PageRequest::parse(0, "").unwrap())
            .await
            .unwrap()
            .members
            .is_empty()
    );
    assert!(
        bench
            .admin
            .list_resources(&PageRequest::parse(0, "").unwrap())
            .await
            .unwrap()
            .members
            .is_empty()
    );
}
