//! What may be used once is used once.

use std::time::Duration;

use futures::future::join_all;
use tokenbind_index::{IndexError, UseDigest};

use crate::harness::Harness;

crate::harness::on_every_store!(
    the_first_of_many_uses_it_up,
    what_was_used_is_remembered_for_as_long_as_asked
);

const MINUTE: Duration = Duration::from_secs(60);

async fn the_first_of_many_uses_it_up(on: Harness) {
    let what = UseDigest::of("assertion", &["issuer", "jti"]);
    let uses = join_all((0..64).map(|_| on.store.consume(what, MINUTE))).await;
    let first = uses.iter().filter(|used| matches!(used, Ok(true))).count();
    let later = uses.iter().filter(|used| matches!(used, Ok(false))).count();
    assert_eq!((first, later), (1, 63));
    for other in [
        UseDigest::of("assertion", &["issuer", "another jti"]),
        UseDigest::of("assertion", &["issuerjti", ""]),
        UseDigest::of("proof", &["issuer", "jti"]),
    ] {
        assert!(on.store.consume(other, MINUTE).await.expect("consume"));
    }
}

async fn what_was_used_is_remembered_for_as_long_as_asked(on: Harness) {
    let (long, short) = (UseDigest([1; 32]), UseDigest([2; 32]));
    assert!(on.store.consume(long, 2 * MINUTE).await.expect("consume"));
    assert!(on.store.consume(short, Duration::ZERO).await.expect("consume"));
    on.advance(MINUTE);
    assert!(!on.store.consume(long, MINUTE).await.expect("consume"));
    assert!(on.store.consume(short, Duration::MAX).await.expect("consume"));
    on.advance(MINUTE);
    assert!(
        on.store.consume(long, MINUTE).await.expect("consume"),
        "a refused use does not prolong"
    );
    assert!(!on.store.consume(short, MINUTE).await.expect("consume"));
}

/// A store that cannot remember a use must not let it pass.
#[tokio::test]
async fn a_full_store_lets_nothing_pass() {
    let on = Harness::redis().await;
    ::redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .exec(&mut on.server().connection())
        .expect("fill");
    let used = on.store.consume(UseDigest([1; 32]), MINUTE).await;
    assert!(matches!(used, Err(IndexError::Full(_))), "{used:?}");
}
