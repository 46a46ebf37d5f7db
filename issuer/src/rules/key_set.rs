//! The public keys are kept for whoever verifies, and how old they can become is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokenbind_index::Clock;

use crate::declared::test_support::FaultyStore;
use crate::error::IssuerError;
use crate::keys::{KEY_SET_AGE_SECONDS, Renew};
use crate::test_support::Harness;

#[tokio::test]
async fn what_was_read_is_answered_while_the_store_is_away_for_as_long_as_it_may_be_used() {
    let harness = Harness::new();
    let store = Arc::new(FaultyStore::new(Arc::clone(&harness.clock) as Arc<dyn Clock>));
    let issuer = harness.over(Arc::clone(&store) as Arc<dyn tokenbind_index::Store>);
    issuer.publish_keys().await.unwrap();
    let fresh = issuer.published_keys().await.unwrap();
    assert_eq!(fresh.max_age_seconds, KEY_SET_AGE_SECONDS);
    assert!(fresh.jwks.contains(issuer.keys.active().key_id()));

    store.no_lists.store(true, Ordering::SeqCst);
    harness.clock.advance(Duration::from_millis(298_500));
    let old = issuer.published_keys().await.unwrap();
    // Together with the time for which it was kept here it is never more.
    assert_eq!((old.max_age_seconds, &old.jwks), (1, &fresh.jwks));
    harness.clock.advance(Duration::from_millis(500));
    assert_eq!(issuer.published_keys().await.unwrap().max_age_seconds, 1);
    harness.clock.advance(Duration::from_millis(1));
    assert!(matches!(
        issuer.published_keys().await,
        Err(IssuerError::Unavailable(_))
    ));
    store.no_lists.store(false, Ordering::SeqCst);
    assert_eq!(issuer.published_keys().await.unwrap().max_age_seconds, 300);
}

#[tokio::test]
async fn what_changes_is_there_at_once_where_it_was_changed_and_elsewhere_with_the_next_look() {
    let harness = Harness::new();
    let mut other = harness.issuer.clone();
    other.last_keys = Arc::default();
    for issuer in [&harness.issuer, &other] {
        issuer.publish_keys().await.unwrap();
    }
    let leaked = harness.issuer.keys.active().key_id().to_owned();
    let next = harness
        .issuer
        .withdraw_signing_key(&leaked)
        .await
        .unwrap()
        .active_key_id;
    let here = harness.issuer.published_keys().await.unwrap().jwks;
    assert!(here.contains(&next) && !here.contains(&leaked), "{here}");
    assert!(other.published_keys().await.unwrap().jwks.contains(&leaked));
    other.keep_keys(Renew::No).await.unwrap();
    assert_eq!(other.published_keys().await.unwrap().jwks, here);
}
