//! A Redis that holds what nobody wrote, or refuses what is asked.

use std::time::{Duration, Instant};

use tokenbind_index::redis::{ConnectError, RedisIndex, RedisOptions};
use tokenbind_index::{DocumentKind, Expect, IndexError, Namespace, Put};

use crate::harness::Harness;
use crate::samples::{Sample, home};

fn run(on: &Harness, command: &str, arguments: &[&[u8]]) {
    redis::cmd(command)
        .arg(arguments)
        .exec(&mut on.server().connection())
        .expect("a command of Redis");
}

fn keys(on: &Harness, pattern: &str) -> Vec<Vec<u8>> {
    let found = redis::cmd("KEYS").arg(pattern).query(&mut on.server().connection());
    found.expect("keys")
}

/// Trying again is useless until somebody looks: what is there is not ours.
#[tokio::test]
async fn what_nobody_wrote_is_told_as_such() {
    let on = Harness::redis().await;
    let sample = Sample::default();
    on.store.issue(sample.issue()).await.expect("issue");
    let record = keys(&on, "*:t{*").pop().expect("a record");
    run(&on, "SET", &[&record, b"short"]);
    let error = on.store.issue(sample.issue()).await.expect_err("cut off");
    assert!(matches!(error, IndexError::Corrupt(_)), "{error}");
    run(&on, "DEL", &[&record]);
    run(&on, "RPUSH", &[&record, b"x"]);
    for error in [
        on.store.issue(sample.issue()).await.map(drop),
        on.store.read(&sample.locator()).await.map(drop),
        on.store
            .revoke_token(home(1), sample.slot(), &sample.record())
            .await
            .map(drop),
    ] {
        assert!(matches!(error, Err(IndexError::Corrupt(_))), "{error:?}");
    }
}

#[tokio::test]
async fn a_document_that_nobody_wrote_is_told_as_such() {
    let on = Harness::redis().await;
    let put = on
        .store
        .put_document(DocumentKind::User, "alice", b"x".to_vec(), Expect::Absent);
    put.await.expect("put");
    let key = keys(&on, "*:{user}?*").pop().expect("a document");
    run(&on, "HSET", &[&key, b"g", b"many"]);
    let error = on.store.document(DocumentKind::User, "alice").await;
    assert!(matches!(error, Err(IndexError::Corrupt(_))), "{error:?}");
}

/// Waiting does not help against a wrong password, so it is no Redis that is not up yet.
#[tokio::test]
async fn refused_credentials_are_told_apart_from_silence() {
    let on = Harness::redis().await;
    run(&on, "CONFIG", &[b"SET", b"requirepass", b"right"]);
    let url = on.server().url();
    let with = |credentials: &str| url.replacen("redis://", &format!("redis://{credentials}"), 1);
    for url in [url.clone(), with(":wrong@")] {
        let refused = connect(&url).await;
        assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
    }
    assert!(connect(&with(":right@")).await.is_ok());
}

/// A validator only reads: it must not need the right to load scripts that write.
#[tokio::test]
async fn a_user_who_may_only_read_can_connect_and_read() {
    let on = Harness::redis().await;
    let sample = Sample::default();
    on.store.issue(sample.issue()).await.expect("issue");
    let rules: [&[u8]; 11] = [
        b"SETUSER",
        b"reader",
        b"on",
        b">right",
        b"~tokenbind:*",
        b"+@read",
        b"+ping",
        b"+info",
        b"+time",
        b"+hello",
        b"+client",
    ];
    run(&on, "ACL", &rules);
    let url = on.server().url().replacen("redis://", "redis://reader:right@", 1);
    let reader = connect(&url).await.expect("connect");
    let read = tokenbind_index::BindingIndex::read(&reader, &sample.locator()).await;
    assert!(read.expect("read").is_some());
    let issued = tokenbind_index::BindingIndex::issue(&reader, sample.issue()).await;
    assert!(matches!(issued, Err(IndexError::Misconfigured(_))), "{issued:?}");
}

async fn connect(url: &str) -> Result<RedisIndex, ConnectError> {
    RedisIndex::connect(&RedisOptions::new(url.to_owned().into(), Namespace::default())).await
}

/// A store that lost an application, and has it again: what was issued before, and perhaps revoked, stays dead.
#[tokio::test]
async fn a_document_that_was_lost_begins_a_later_generation() {
    let on = Harness::redis().await;
    let kind = DocumentKind::Application;
    let put = async || {
        let put = on
            .store
            .put_document(kind, "a", Vec::new(), Expect::Any)
            .await
            .expect("put");
        let Put::Stored { generation, .. } = put else {
            panic!("put")
        };
        generation
    };
    put().await;
    let (raised, _) = on
        .store
        .raise_generation(kind, "a")
        .await
        .expect("raise")
        .expect("there");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        on.flush();
        if put().await > raised {
            break;
        }
        assert!(Instant::now() < deadline, "an earlier generation lives again");
        tokio::task::yield_now().await;
    }
}
