//! A Redis that is full.

use tokenbind_index::{DocumentKind, Expect, IndexError, Issued, Put, Selection};

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

/// R7: what stops somebody (a user who is deleted, an application that is disabled, a password or secret that is changed) is
/// a document written over the one that is there. Only what is new is refused.
#[tokio::test]
async fn r7_what_is_there_can_be_changed_when_the_store_is_full() {
    let on = Harness::redis().await;
    let put = async |id, body: &[u8], expect| {
        let store = &on.store;
        store.put_document(DocumentKind::User, id, body.to_vec(), expect).await
    };
    let Ok(Put::Stored { version, .. }) = put("alice", b"live", Expect::Absent).await else {
        panic!("not stored")
    };
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .exec(&mut on.server().connection())
        .expect("fill");
    let refused = put("bob", b"new", Expect::Absent).await;
    assert!(matches!(refused, Err(IndexError::Full(_))), "{refused:?}");
    let disabled = put("alice", b"disabled", Expect::Version(version)).await;
    assert!(matches!(disabled, Ok(Put::Stored { .. })), "{disabled:?}");
    let stale = put("alice", b"live", Expect::Version(version)).await;
    assert!(matches!(stale, Ok(Put::Conflict)), "{stale:?}");
}

/// S16: whoever may not have a further binding could otherwise, with many slots, keep Redis busy with being refused.
#[tokio::test]
async fn a_refusal_over_the_limit_costs_the_same_with_many_slots() {
    let on = Harness::redis().await;
    let limited = Sample {
        device: 1,
        limit: 1,
        ..Sample::default()
    };
    for scope in 1..=100 {
        on.store
            .issue(Sample { scope, ..limited }.issue())
            .await
            .expect("issue");
    }
    redis::cmd("CONFIG")
        .arg("RESETSTAT")
        .exec(&mut on.server().connection())
        .expect("reset");
    let refused = on.store.issue(Sample { device: 2, ..limited }.issue()).await;
    assert!(matches!(refused, Ok(Issued::LimitReached)), "{refused:?}");
    let stats: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut on.server().connection())
        .expect("statistics");
    let calls = |command: &str| {
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| {
            line.split(',').next().unwrap_or_default().parse().unwrap_or(u64::MAX)
        })
    };
    let reads = calls("get") + calls("getrange");
    assert!((1..=3).contains(&reads), "{reads} reads: {stats}");
}
