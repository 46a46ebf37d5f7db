//! The scripts and reads of the Redis index, on a Redis of the benchmark's own.
//!
//! One at a time, what counts is the way there and back; with 64 in flight, what Redis does.

#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "the macros of criterion make functions without documentation; a benchmark that fails may panic"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use futures::{StreamExt as _, stream};
use tokenbind_index::redis::{RedisIndex, RedisOptions};
use tokenbind_index::{
    BindingIndex as _, BindingTag, Home, Issue, IssuePolicy, Issued, Locator, Namespace, Nonce, Slot, Subject,
    TokenDigest,
};
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::{BindingType, TokenFormat};
use tokenbind_tests::RedisServer;

/// Subjects with one live token each, which are used in turn.
const SUBJECTS: u64 = 10_000;

/// What is done.
#[derive(Clone, Copy)]
enum Operation {
    /// A token supersedes another.
    Issue,
    /// The live token is answered again.
    Reuse,
    /// The record is read.
    Read,
    /// A token is issued, then revoked: two scripts.
    IssueAndRevoke,
}

fn home(number: u64) -> Home {
    Subject::User(format!("user-{}", number % SUBJECTS)).home()
}

fn record(number: u64) -> TokenRecord {
    TokenRecord {
        generation: 1,
        digest: TokenDigest::of(&number.to_string()).0.to_vec(),
        lifetime_ms: 3_600_000,
        format: TokenFormat::Jwt.into(),
        binding_type: BindingType::ClientRequest.into(),
        binding_ref: vec![7; 32],
        client_id: "shop".to_owned(),
        scopes: vec!["orders.read".to_owned()],
        ..TokenRecord::default()
    }
}

async fn issue(index: &RedisIndex, number: u64, policy: IssuePolicy) {
    let issue = Issue {
        home: home(number),
        slot: Slot([1; 16]),
        record: record(number),
        binding: BindingTag([9; 8]),
        policy,
        limit: None,
    };
    let issued = index.issue(issue).await.unwrap();
    assert!(matches!(issued, Issued::New { .. } | Issued::Kept { .. }), "{issued:?}");
}

async fn run(index: &RedisIndex, operation: Operation, number: u64) {
    match operation {
        Operation::Issue => issue(index, number, IssuePolicy::Replace).await,
        Operation::Reuse => issue(index, number, IssuePolicy::Keep { except: None }).await,
        Operation::Read => {
            let locator = Locator {
                home: home(number),
                slot: Slot([1; 16]),
                nonce: Nonce([0; 16]),
            };
            assert!(index.read(&locator).await.unwrap().is_some());
        }
        Operation::IssueAndRevoke => {
            issue(index, number, IssuePolicy::Replace).await;
            let revoked = index.revoke_token(home(number), Slot([1; 16]), &record(number)).await;
            assert_eq!(revoked.unwrap().count, 1);
        }
    }
}

fn scripts(criterion: &mut Criterion) {
    let redis = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let options = RedisOptions::new(redis.url().into(), Namespace::default());
    let index = runtime.block_on(RedisIndex::connect(&options)).unwrap();
    let next = AtomicU64::new(0);
    for (name, operation) in [
        ("issue", Operation::Issue),
        ("reuse", Operation::Reuse),
        ("read", Operation::Read),
        ("issue and revoke", Operation::IssueAndRevoke),
    ] {
        // The operations before may have left slots empty.
        runtime.block_on(times(&index, Operation::Issue, SUBJECTS, 64, &next));
        let mut group = criterion.benchmark_group(name);
        for in_flight in [1, 64] {
            group.bench_function(format!("{in_flight} in flight"), |bencher| {
                bencher.iter_custom(|count| runtime.block_on(times(&index, operation, count, in_flight, &next)));
            });
        }
        group.finish();
    }
}

async fn times(index: &RedisIndex, operation: Operation, count: u64, in_flight: usize, next: &AtomicU64) -> Duration {
    let start = Instant::now();
    let calls = stream::iter(0..count).map(|_| run(index, operation, next.fetch_add(1, Ordering::Relaxed)));
    calls.buffer_unordered(in_flight).for_each(|()| async {}).await;
    start.elapsed()
}

criterion_group!(benches, scripts);
criterion_main!(benches);
