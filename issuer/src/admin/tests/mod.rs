//! The use cases over the embedded store.

mod applications;
mod users;

use std::num::NonZeroUsize;
use std::sync::Arc;

use secrecy::SecretString;
use tokenbind_index::{Clock, Entropy, ManualClock, SecretHash};
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, UserRecord};
use tokenbind_proto::v1::certificate_name::Name;
use tokenbind_proto::v1::{Application, BindingType, CertificateName, GrantType, Resource, Source, TokenFormat, User};

use super::{Administration, PageRequest};
use crate::applications::Applications;
use crate::declared::documents::{self, Declared};
use crate::declared::test_support::FaultyStore;
use crate::error::IssuerError;
use crate::password::PasswordPool;
use crate::test_support::CountingEntropy;

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
        applications: Arc::new(Applications::new(Arc::clone(&store) as _, None)),
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
async fn resources_are_updated_and_deleted() {
    let bench = bench();
    bench.admin.create_resource(Some(resource("orders"))).await.unwrap();
    let wanted = Resource {
        audiences: vec!["a".into()],
        accepted_client_ids: vec!["b".into()],
        accepted_scopes: vec!["c".into()],
        enforce_binding: true,
        accepted_binding_types: vec![BindingType::ClientRequest.into()],
        allow_stale_seconds: 30,
        caller_certificate: Some(CertificateName {
            name: Some(Name::SanDns("orders.example".into())),
        }),
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
