//! A Redis that holds what nobody wrote, or refuses what is asked.

use std::time::{Duration, Instant};

use tokenbind_index::redis::{Access, ConnectError, RedisIndex, RedisOptions};
use tokenbind_index::{BindingIndex as _, DocumentKind, Expect, IndexError, Namespace, Put};

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
    let record = keys(&on, "*:{????????????????}?*").pop().expect("a record");
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
    for (url, told) in [(url.clone(), "got none"), (with(":wrong@"), "is wrong")] {
        let refused = connect(&url).await.expect_err("nobody is let in");
        assert!(matches!(refused, ConnectError::Credentials(_)), "{refused:?}");
        assert!(refused.to_string().contains(told), "{refused}");
    }
    assert!(connect(&with(":right@")).await.is_ok());
    let elsewhere = connect(&format!("{}/99", with(":right@"))).await;
    assert!(matches!(elsewhere, Err(ConnectError::Unfit(_))), "{elsewhere:?}");
}

/// The first thing that goes wrong is a wrong address: the error says which it was, and in one line.
#[tokio::test]
async fn silence_and_another_protocol_are_told_with_their_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("an answer");
    });
    let url = format!("redis://{address}");
    let answered = connect(&url).await.expect_err("no Redis").to_string();
    other.join().expect("it answered, and nobody listens from here on");
    let silent = connect(&url).await.expect_err("nobody").to_string();
    for (error, told) in [(answered, "does not speak as Redis does"), (silent, "refused")] {
        assert!(error.contains(&address.to_string()) && error.contains(told), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
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
    let refused = connect(&url).await.expect_err("it may not write").to_string();
    assert!(refused.contains("users.acl"), "{refused}");
    let mut options = RedisOptions::new(url.into(), Namespace::default());
    options.access = Access::ReadOnly;
    let reader = RedisIndex::connect(&options).await.expect("connect");
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

/// What has ended leaves the list when the list changes, and the list does not end before what it lists.
#[tokio::test]
async fn a_list_does_not_grow_by_what_has_ended() {
    let on = Harness::redis().await;
    let put = |scope: u8, minutes: u32| Sample {
        scope,
        lifetime_ms: minutes * 60_000,
        ..Sample::default()
    };
    let members = || -> (i64, i64) {
        let list = keys(&on, "*:{????????????????}").pop().expect("a list");
        let mut connection = on.server().connection();
        let count = redis::cmd("ZCARD").arg(&list).query(&mut connection);
        let left = redis::cmd("PTTL").arg(&list).query(&mut connection);
        (count.expect("a list"), left.expect("a list"))
    };
    for sample in [put(1, 10), put(2, 1), put(3, 1), put(4, 20)] {
        on.store.issue(sample.issue()).await.expect("issue");
    }
    let (count, left) = members();
    assert_eq!(count, 4);
    assert!(left >= 20 * 60_000 - 1_000, "{left}");
    on.advance(Duration::from_secs(120));
    on.store.issue(put(1, 30).issue()).await.expect("issue");
    let (count, left) = members();
    assert_eq!(count, 2, "two have ended");
    assert!(left >= 30 * 60_000 - 1_000, "{left}");
    on.store.issue(put(5, 1).issue()).await.expect("issue");
    assert_eq!(members().0, 3, "one is new");
    let last = put(5, 1);
    let revoked = on.store.revoke_token(home(1), last.slot(), &last.record()).await;
    assert_eq!(revoked.expect("revoke").count, 1);
    assert_eq!(members().0, 2, "a revoked one is taken off");
}

/// Case 2: a Redis that goes on later with what it was sent must not do what was told to have failed.
#[tokio::test]
async fn what_failed_is_not_done_later() {
    let on = Harness::redis().await;
    let mut options = RedisOptions::new(on.server().url().into(), Namespace::default());
    options.response_timeout = Duration::from_millis(300);
    let index = RedisIndex::connect(&options).await.expect("connect");
    let serial = |serial| Sample {
        serial,
        ..Sample::default()
    };
    index.issue(serial(1).issue()).await.expect("issue");
    on.server().freeze();
    let error = index.issue(serial(2).issue()).await.expect_err("frozen");
    assert!(matches!(error, IndexError::Unavailable(_)), "{error}");
    on.server().thaw();
    // Answered on the same connection, so what was sent before it is done or never will be.
    index.ping().await.expect("thawed");
    let live = index
        .read(&Sample::default().locator())
        .await
        .expect("read")
        .expect("live");
    assert_eq!(live.digest, serial(1).record().digest);
    index.issue(serial(3).issue()).await.expect("issue");
}

/// A token that soon takes another's place leaves the list as it is, and still the list never has it end too early, whatever the
/// lifetimes: what is off the list is not revoked with its subject.
#[tokio::test]
async fn a_list_has_each_token_to_its_end() {
    let on = Harness::redis().await;
    let mut connection = on.server().connection();
    let minutes = |minutes: u32| minutes * 60_000;
    let lifetimes = [
        minutes(16),
        minutes(16),
        minutes(16),
        minutes(15),
        minutes(64),
        minutes(16),
        1,
        300_000,
    ];
    let mut filed = 0;
    for turn in 0..400_u32 {
        let scope = u8::try_from(turn % 7).expect("few");
        let lifetime_ms = lifetimes[usize::try_from(turn / 3).expect("few") % lifetimes.len()];
        let sample = Sample {
            scope,
            lifetime_ms,
            serial: turn,
            ..Sample::default()
        };
        let before = calls(&on, "pttl");
        on.store.issue(sample.issue()).await.expect("issue");
        filed += calls(&on, "pttl") - before;
        on.advance(Duration::from_millis(u64::from(turn % 5) * 1_700));
        let list = keys(&on, "*:{????????????????}").pop().expect("a list");
        for key in keys(&on, "*:{????????????????}?*") {
            let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).expect("a key");
            let list_left: i64 = redis::cmd("PTTL").arg(&list).query(&mut connection).expect("a list");
            let (seconds, micros): (i64, i64) = redis::cmd("TIME").query(&mut connection).expect("the time");
            let ends = seconds * 1_000 + micros / 1_000 + left;
            let members: Vec<(Vec<u8>, i64)> = redis::cmd("ZRANGE")
                .arg(&list)
                .arg(&["0", "-1", "WITHSCORES"])
                .query(&mut connection)
                .expect("a list");
            let slot = &key[key.len() - 16..];
            let listed = members.iter().find(|(member, _)| member.starts_with(slot));
            let listed = listed.map_or(0, |(_, ends)| *ends);
            // These are asked for one after the other, and each has begun another ms.
            assert!(
                left < 5 || (listed + 5 >= ends && list_left + 5 >= left),
                "{turn}: {listed} {ends}"
            );
        }
    }
    assert!((30..390).contains(&filed), "{filed} of 400 changed the list");
}

/// How often Redis was asked that.
fn calls(on: &Harness, command: &str) -> i64 {
    let info = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut on.server().connection());
    let info: String = info.expect("the statistics");
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    let calls = line.and_then(|line| line.split(',').next()?.parse().ok());
    calls.unwrap_or(0)
}
