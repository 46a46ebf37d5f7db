//! What a store holds afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokenbind_index::{Clock, DocumentKind, DocumentStore as _, ManualClock};
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, UserRecord};
use tokenbind_proto::v1::Source;

use super::super::{PublishError, Published};
use super::{HASH, application, catalog, user};
use crate::declared::documents::{self, Declared};
use crate::declared::test_support::FaultyStore;
use crate::error::IssuerError;

const OTHER_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$b3RoZXJvdGhlcg$I7sIPTrWRq3+yQVpcQQ1VLgZ0ZTUjy5wTvQbqyfHz2c";

fn store() -> FaultyStore {
    FaultyStore::new(Arc::new(ManualClock::new(1_800_000_000_000_000)) as Arc<dyn Clock>)
}

async fn record<R: Declared>(store: &FaultyStore, id: &str) -> Option<R> {
    documents::find::<R>(store, id)
        .await
        .unwrap()
        .map(|stored| stored.record)
}

#[tokio::test]
async fn publishing_stores_everything_once() {
    let store = store();
    let catalog = catalog(
        &[application("shop", "")],
        &[user("alice", HASH, "attributes: {a: x, b: y, c: z, d: v}")],
        &["{resource_id: orders}"],
    );
    let first = catalog.publish(&store).await.unwrap();
    assert_eq!(
        first,
        Published {
            stored: 3,
            unchanged: 0,
            removed: 0
        }
    );
    assert_eq!(
        record::<ApplicationRecord>(&store, "shop").await.unwrap().source(),
        Source::Catalog
    );
    assert_eq!(
        record::<UserRecord>(&store, "alice").await.unwrap().source(),
        Source::Catalog
    );
    assert_eq!(
        record::<ResourceRecord>(&store, "orders").await.unwrap().source(),
        Source::Catalog
    );

    let again = catalog.publish(&store).await.unwrap();
    assert_eq!(
        again,
        Published {
            stored: 0,
            unchanged: 3,
            removed: 0
        }
    );
    assert_eq!(
        store.puts.load(Ordering::SeqCst),
        3,
        "nothing unchanged is written again"
    );
}

#[tokio::test]
async fn what_is_declared_no_more_is_removed_and_what_the_api_made_stays() {
    let store = store();
    let made = catalog(
        &[application("made", "")],
        &[user("made", HASH, "")],
        &["{resource_id: made}"],
    );
    made.seed(&store).await.unwrap();
    let before = catalog(
        &[application("a", ""), application("b", "")],
        &[user("a", HASH, ""), user("b", HASH, "")],
        &["{resource_id: a}", "{resource_id: b}"],
    );
    before.publish(&store).await.unwrap();
    let first = store.document(DocumentKind::Application, "a").await.unwrap().unwrap();
    for username in ["a", "b", "made"] {
        store.issue_to(username).await;
    }

    let after = catalog(&[application("b", "")], &[user("b", HASH, "")], &["{resource_id: b}"]);
    let done = after.publish(&store).await.unwrap();
    assert_eq!(
        done,
        Published {
            stored: 0,
            unchanged: 3,
            removed: 3
        }
    );
    for (id, there) in [("a", false), ("b", true), ("made", true)] {
        assert_eq!(record::<ApplicationRecord>(&store, id).await.is_some(), there, "{id}");
        assert_eq!(record::<UserRecord>(&store, id).await.is_some(), there, "{id}");
        assert_eq!(record::<ResourceRecord>(&store, id).await.is_some(), there, "{id}");
        assert_eq!(store.is_live(id).await, there, "{id}");
    }
    // R4: the application's tokens stay dead if it comes back.
    before.publish(&store).await.unwrap();
    let document = store.document(DocumentKind::Application, "a").await.unwrap().unwrap();
    assert!(document.generation > first.generation);
}

#[tokio::test]
async fn an_id_that_the_api_made_is_named_and_nothing_is_changed() {
    let store = store();
    let made = catalog(&[application("b", "")], &[user("u", HASH, "")], &["{resource_id: r}"]);
    made.seed(&store).await.unwrap();
    let declared = catalog(
        &[application("a", ""), application("b", "")],
        &[user("u", HASH, "")],
        &["{resource_id: r}", "{resource_id: s}"],
    );
    let refused = declared.publish(&store).await.unwrap_err();
    let names = ["application \"b\"", "user \"u\"", "resource \"r\""].map(str::to_owned);
    assert_eq!(refused, PublishError::MadeByApi(names.to_vec()));
    assert!(record::<ApplicationRecord>(&store, "a").await.is_none());
    assert!(record::<ResourceRecord>(&store, "s").await.is_none());
    assert_eq!(
        record::<ApplicationRecord>(&store, "b").await.unwrap().source(),
        Source::Api
    );
}

#[tokio::test]
async fn a_changed_application_is_written_and_keeps_its_generation() {
    let store = store();
    catalog(&[application("shop", "")], &[], &[])
        .publish(&store)
        .await
        .unwrap();
    let first = store
        .document(DocumentKind::Application, "shop")
        .await
        .unwrap()
        .unwrap();
    let changed = catalog(&[application("shop", "disabled: true")], &[], &[]);
    assert_eq!(changed.publish(&store).await.unwrap().stored, 1);
    assert!(
        record::<ApplicationRecord>(&store, "shop")
            .await
            .unwrap()
            .application
            .unwrap()
            .disabled
    );
    let document = store
        .document(DocumentKind::Application, "shop")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(document.generation, first.generation);
}

#[tokio::test]
async fn another_password_and_being_disabled_revoke_a_users_tokens_and_other_changes_do_not() {
    let store = store();
    catalog(&[], &[user("alice", HASH, "")], &[])
        .publish(&store)
        .await
        .unwrap();
    store.issue_to("alice").await;
    catalog(&[], &[user("alice", HASH, "scopes: [a]")], &[])
        .publish(&store)
        .await
        .unwrap();
    assert!(store.is_live("alice").await);

    let changed = catalog(&[], &[user("alice", OTHER_HASH, "")], &[]);
    changed.publish(&store).await.unwrap();
    assert!(!store.is_live("alice").await);
    let stored = record::<UserRecord>(&store, "alice").await.unwrap();
    assert_eq!(stored.password_hash, OTHER_HASH);
    assert!(!stored.user.unwrap().disabled);

    store.issue_to("alice").await;
    catalog(&[], &[user("alice", OTHER_HASH, "disabled: true")], &[])
        .publish(&store)
        .await
        .unwrap();
    assert!(!store.is_live("alice").await);
    let stored = record::<UserRecord>(&store, "alice").await.unwrap();
    assert_eq!(
        (stored.password_hash.as_str(), stored.user.unwrap().disabled),
        (OTHER_HASH, true)
    );
}

#[tokio::test]
async fn a_revocation_that_failed_is_made_up_for_at_the_next_start() {
    let store = store();
    let users = [user("gone", HASH, ""), user("off", HASH, "")];
    catalog(&[], &users, &[]).publish(&store).await.unwrap();
    store.issue_to("gone").await;
    store.issue_to("off").await;
    let after = catalog(&[], &[user("off", HASH, "disabled: true")], &[]);
    store.no_revocation.store(true, Ordering::SeqCst);
    let failed = after.publish(&store).await.unwrap_err();
    assert!(
        matches!(failed, PublishError::Failed(IssuerError::Unavailable(_))),
        "{failed}"
    );
    assert!(store.is_live("off").await);

    store.no_revocation.store(false, Ordering::SeqCst);
    after.publish(&store).await.unwrap();
    assert!(!store.is_live("off").await);
    assert!(!store.is_live("gone").await);
    assert!(record::<UserRecord>(&store, "gone").await.is_none());
    assert_eq!(record::<UserRecord>(&store, "off").await.unwrap().password_hash, HASH);
}

#[tokio::test]
async fn an_issuer_that_writes_the_same_at_the_same_time_is_no_error() {
    let store = store();
    let catalog = catalog(
        &[application("shop", "")],
        &[user("alice", HASH, "")],
        &["{resource_id: orders}"],
    );
    store.conflicts.store(4, Ordering::SeqCst);
    assert_eq!(catalog.publish(&store).await.unwrap().stored, 3);
    let (one, other) = tokio::join!(catalog.publish(&store), catalog.publish(&store));
    assert_eq!((one.unwrap().unchanged, other.unwrap().unchanged), (3, 3));

    store.conflicts.store(u32::MAX, Ordering::SeqCst);
    let changed = super::catalog(&[application("shop", "disabled: true")], &[], &[]);
    let failed = changed.publish(&store).await.unwrap_err();
    assert_eq!(failed, PublishError::Failed(IssuerError::Conflict("application")));
}

#[tokio::test]
async fn a_seed_makes_what_is_absent_and_leaves_the_rest() {
    let store = store();
    catalog(&[application("shop", "display_name: first")], &[], &[])
        .seed(&store)
        .await
        .unwrap();
    let more = catalog(
        &[application("shop", "display_name: second"), application("other", "")],
        &[],
        &[],
    );
    assert_eq!(more.seed(&store).await.unwrap(), 1);
    let kept = record::<ApplicationRecord>(&store, "shop").await.unwrap();
    assert_eq!(
        (kept.application.as_ref().unwrap().display_name.as_str(), kept.source()),
        ("first", Source::Api)
    );
    assert!(record::<ApplicationRecord>(&store, "other").await.is_some());
}
