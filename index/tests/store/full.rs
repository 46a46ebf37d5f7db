//! A Redis that is full.

use tokenbind_index::{IndexError, Issued, Selection};

use crate::harness::Harness;
use crate::samples::{Sample, home};

/// R7: a full store takes no further token, but revoking works.
#[tokio::test]
async fn r7_revoking_works_when_the_store_is_full() {
    let on = Harness::redis().await;
    let first = Sample {
        device: 1,
        ..Sample::default()
    };
    let second = Sample { device: 2, ..first };
    for sample in [first, second] {
        on.store.issue(sample.issue()).await.expect("issue");
    }
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .exec(&mut on.server().connection())
        .expect("fill");
    let refused = on.store.issue(Sample { serial: 2, ..first }.issue()).await;
    assert!(matches!(refused, Err(IndexError::Full(_))), "{refused:?}");
    assert!(
        on.store.read(&first.locator()).await.expect("read").is_some(),
        "S9: the old token is still live"
    );
    let revoked = on
        .store
        .revoke_token(home(1), first.slot(), &first.record())
        .await
        .expect("revoke");
    assert_eq!(revoked.count, 1);
    let revoked = on
        .store
        .revoke_subject(home(1), Selection::default())
        .await
        .expect("revoke");
    assert_eq!(revoked.count, 1);
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "0"])
        .exec(&mut on.server().connection())
        .expect("empty");
    let again = on.store.issue(first.issue()).await.expect("issue");
    assert!(matches!(again, Issued::New { superseded: false, .. }));
}
