//! Users, their passwords and their tokens.

use std::sync::atomic::Ordering;

use tokenbind_proto::index::v1::UserRecord;
use tokenbind_proto::v1::User;

use super::{bench, fields, password, paths, user};
use crate::error::IssuerError;

async fn verify(bench: &super::Bench, right: &str, hash: String) -> bool {
    let passwords = &bench.admin.passwords;
    let place = passwords.place("shop").unwrap();
    passwords.verify(place, password(right), Some(hash)).await.unwrap()
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
    assert!(verify(&bench, "correct horse", hash).await);
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
    assert!(verify(&bench, "battery staple", hash).await);

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
