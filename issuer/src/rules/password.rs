use std::num::NonZeroUsize;
use std::sync::Arc;

use argon2::{Argon2, Params, PasswordHasher as _};
use futures::future::join_all;
use secrecy::SecretString;
use tokenbind_index::Entropy;

use crate::error::IssuerError;
use crate::password::{PasswordPool, hash_password};
use crate::test_support::CountingEntropy;

async fn verify(pool: &PasswordPool, password: &str, hash: Option<String>) -> Result<bool, IssuerError> {
    pool.verify(pool.place("shop")?, SecretString::from(password), hash)
        .await
}

#[tokio::test]
async fn a_password_is_hashed_as_owasp_says_and_verified() {
    let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
    let pool = PasswordPool::for_this_machine(entropy.as_ref()).unwrap();
    let hash = pool
        .hash(SecretString::from("right"), Arc::clone(&entropy))
        .await
        .unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert_ne!(hash, hash_password("right", entropy.as_ref()).unwrap());
    assert!(verify(&pool, "right", Some(hash.clone())).await.unwrap());
    assert!(!verify(&pool, "wrong", Some(hash)).await.unwrap());
    // The dummy's own password does not open what is nobody's.
    assert!(!verify(&pool, "", None).await.unwrap());
    let unreadable = verify(&pool, "right", Some("plain".to_owned())).await.unwrap_err();
    assert_eq!(unreadable.reason(), "internal");
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_at_once() {
    let pool = PasswordPool::new(NonZeroUsize::MIN, &CountingEntropy::default()).unwrap();
    let guesses = (0..40).map(|_| verify(&pool, "guess", None));
    let outcomes = join_all(guesses).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(IssuerError::Overloaded))
        .count();
    assert_eq!((refused, outcomes.len()), (40 - 17, 40));
    assert_eq!(verify(&pool, "later", None).await, Ok(false));
}

/// A flood of guesses may not make the process grow: each worker hashes where it hashed before.
#[tokio::test]
async fn hashes_of_every_size_are_verified_in_the_same_memory() {
    let pool = PasswordPool::new(NonZeroUsize::MIN, &CountingEntropy::default()).unwrap();
    let hash = |memory, passes, lanes| {
        let argon2 = Argon2::from(Params::new(memory, passes, lanes, None).unwrap());
        argon2
            .hash_password_with_salt(b"right", b"saltsalt")
            .unwrap()
            .to_string()
    };
    let hashes = [
        hash(19_456, 2, 1),
        hash(7_168, 5, 1),
        hash(47_104, 1, 1),
        hash(9_216, 4, 3),
    ];
    for hash in hashes.iter().chain(&hashes) {
        for (password, right) in [("wrong", false), ("right", true)] {
            let verified = verify(&pool, password, Some(hash.clone())).await;
            assert_eq!(verified, Ok(right), "{password} {hash}");
        }
    }
    join_all((0..17).map(|_| verify(&pool, "guess", None))).await;
    assert_eq!(pool.kept_blocks(), 19_456);
}
