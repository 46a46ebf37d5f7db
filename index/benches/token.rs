//! What is done with the text of every token.

#![expect(
    missing_docs,
    reason = "the macros of criterion make functions without documentation; a benchmark that fails may panic"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tokenbind_index::{Locator, Nonce, OpaqueToken, Slot, Subject, TokenDigest};

fn token(criterion: &mut Criterion) {
    let locator = Locator {
        home: Subject::User("ada".to_owned()).home(),
        slot: Slot([2; 16]),
        nonce: Nonce([3; 16]),
    };
    let opaque = OpaqueToken {
        locator,
        secret: [4; 32],
    }
    .encode();
    let jwt = "a".repeat(700);
    criterion.bench_function("digest of an opaque token", |bencher| {
        bencher.iter(|| TokenDigest::of(black_box(&opaque)));
    });
    criterion.bench_function("digest of a JWT of 700 bytes", |bencher| {
        bencher.iter(|| TokenDigest::of(black_box(&jwt)));
    });
    criterion.bench_function("opaque token decoded", |bencher| {
        bencher.iter(|| OpaqueToken::decode(black_box(&opaque)));
    });
}

criterion_group!(benches, token);
criterion_main!(benches);
