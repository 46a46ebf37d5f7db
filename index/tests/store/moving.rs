//! A slot of a cluster that is on the move: each of the two nodes has a part of a subject's keys, and what a script does not find
//! on one of them is not therefore gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokenbind_index::redis::{RedisIndex, RedisTracking};
use tokenbind_index::{
    BindingIndex as _, FamilyIndex as _, IndexError, Issued, Selection, SystemClock, TrackedIndex as _,
};
use tokenbind_tests::RedisCluster;

use crate::harness::Servers as _;
use crate::samples::{Sample, home};

const LEASE: Duration = Duration::from_millis(1_500);

fn device(device: u8) -> Sample {
    Sample {
        device,
        ..Sample::default()
    }
}

/// The subject's list, whose name is the whole of its hash tag, and its slot.
fn list(cluster: &RedisCluster) -> (Vec<u8>, u16) {
    let key = [b"tokenbind:{", home(1).as_bytes().as_slice(), b"}"].concat();
    let slot = cluster.slot(&key);
    (key, slot)
}

fn is_unavailable<T: std::fmt::Debug>(outcome: &Result<T, IndexError>) {
    assert!(matches!(outcome, Err(IndexError::Unavailable(_))), "{outcome:?}");
}

pub(crate) async fn every_promise(cluster: &Arc<RedisCluster>) {
    let index = RedisIndex::connect(&cluster.options()).await.expect("connect");
    nothing_is_half_done(cluster, &index).await;
    a_revocation_finds_everything_or_fails(cluster, &index).await;
    what_was_kept_is_forgotten(cluster, &index).await;
}

async fn start(cluster: &RedisCluster, index: &RedisIndex) -> (u16, usize, usize) {
    for server in cluster.primaries() {
        redis::cmd("FLUSHALL").exec(&mut server.connection()).expect("flush");
    }
    for number in 1..=4 {
        index.issue(device(number).issue()).await.expect("issue");
    }
    let (_, slot) = list(cluster);
    let from = cluster.owner(slot).expect("an owner");
    let is_other = |number: &usize| *number != from && cluster.nodes()[*number].role().as_deref() == Some("master");
    let to = (0..cluster.nodes().len()).find(is_other).expect("another primary");
    assert_eq!(cluster.begin_move(slot, to), from);
    (slot, from, to)
}

async fn is_live(index: &RedisIndex, sample: Sample) -> bool {
    let record = index.read(&sample.locator()).await.expect("read");
    record.is_some_and(|record| record.digest == sample.record().digest)
}

/// S9: a request that fails leaves the old token live. Reading goes on.
async fn nothing_is_half_done(cluster: &RedisCluster, index: &RedisIndex) {
    let (slot, from, to) = start(cluster, index).await;
    let next = |number| Sample {
        serial: 2,
        ..device(number)
    };
    // All that it needs is there still.
    let issued = index.issue(next(1).issue()).await.expect("issue");
    assert!(matches!(issued, Issued::New { superseded: true, .. }));
    // A family needs a place that nobody has yet, which is out of reach.
    is_unavailable(&index.begin_family(next(2).issue(), next(2).begin(7)).await);
    assert!(is_live(index, device(2)).await);
    // A slot that was never used.
    is_unavailable(&index.issue(device(9).issue()).await);

    let (list, _) = list(cluster);
    cluster.move_key(&list, from, to);
    is_unavailable(&index.issue(next(3).issue()).await);
    for live in [next(1), device(2), device(3), device(4)] {
        assert!(is_live(index, live).await);
    }
    cluster.move_keys(slot, from, to);
    for live in [next(1), device(2), device(3), device(4)] {
        assert!(is_live(index, live).await, "it is asked for where it is already");
    }
    cluster.end_move(slot, to);
    let begun = index
        .begin_family(next(2).issue(), next(2).begin(7))
        .await
        .expect("begin");
    assert!(begun.family.is_some());
    index.issue(device(9).issue()).await.expect("issue");
}

/// R3: whatever the list names and the importing node does not have lives on where it was.
async fn a_revocation_finds_everything_or_fails(cluster: &RedisCluster, index: &RedisIndex) {
    let (slot, from, to) = start(cluster, index).await;
    let (list, _) = list(cluster);
    cluster.move_key(&list, from, to);
    is_unavailable(&index.revoke_subject(home(1), Selection::default()).await);
    is_unavailable(&index.revoke_token(home(1), device(1).slot(), &device(1).record()).await);
    for number in 1..=4 {
        assert!(is_live(index, device(number)).await);
    }
    cluster.move_keys(slot, from, to);
    cluster.end_move(slot, to);
    let revoked = index
        .revoke_subject(home(1), Selection::default())
        .await
        .expect("revoke");
    assert_eq!(revoked.count, 4);
    for number in 1..=4 {
        assert!(!is_live(index, device(number)).await);
    }
}

/// What a node told before it lost the slot says nothing of what the new owner does.
async fn what_was_kept_is_forgotten(cluster: &RedisCluster, index: &RedisIndex) {
    let tracking = RedisTracking::start(&cluster.options(), Arc::new(SystemClock), LEASE).expect("a valid URL");
    let deadline = Instant::now() + Duration::from_secs(20);
    let (slot, from, to) = start(cluster, index).await;
    let kept = loop {
        match tracking.read_tracked(&device(1).locator()).await {
            Ok(read) => break read.stamp,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    };
    let may_be_used = |stamp| tracking.confirmed().is_some() && tracking.is_current(stamp);
    assert!(may_be_used(&kept));
    cluster.move_keys(slot, from, to);
    cluster.end_move(slot, to);
    while may_be_used(&kept) {
        assert!(Instant::now() < deadline, "it is still used");
        tokio::task::yield_now().await;
    }
    let again = loop {
        match tracking.read_tracked(&device(1).locator()).await {
            Ok(read) => break read.stamp,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    };
    let revoked = index
        .revoke_subject(home(1), Selection::default())
        .await
        .expect("revoke");
    assert_eq!(revoked.count, 4);
    tracking.confirm().await.ok();
    while may_be_used(&again) {
        assert!(Instant::now() < deadline, "the new owner does not tell");
        tokio::task::yield_now().await;
    }
}
