//! Passwords of users: argon2id, on a bounded pool.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher as _, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::Entropy;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::task::spawn_blocking;

use crate::error::IssuerError;

/// How many requests may wait for each worker before further ones are refused. At about 20 ms for each hash the last in the
/// queue waits a third of a second.
const WAITING_PER_WORKER: usize = 16;

/// Of 1 KiB each: what our own hashes take. A hash of the catalog may take more, which is given back.
const KEPT_BLOCKS: usize = 19_456;

/// Hashes and verifies passwords, a bounded number at a time.
///
/// A hash takes 19 MiB and a core for tens of milliseconds on purpose, so without a bound a flood of guesses takes both from
/// everybody else.
pub struct PasswordPool {
    workers: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    /// What the hashes were made in that are done. Allocated anew for each, the pieces of 19 MiB would stay behind in every
    /// arena of the allocator.
    memory: Arc<Mutex<Vec<Vec<Block>>>>,
    /// What a password is compared with where there is no user: as much work, and never a match.
    dummy: String,
}

impl PasswordPool {
    /// A pool that hashes at most `workers` passwords at once.
    pub fn new(workers: NonZeroUsize, entropy: &dyn Entropy) -> Result<Self, IssuerError> {
        Ok(Self {
            workers: Arc::new(Semaphore::new(workers.get())),
            queue: Arc::new(Semaphore::new(workers.get().saturating_mul(1 + WAITING_PER_WORKER))),
            memory: Arc::default(),
            dummy: hash_password("", entropy)?,
        })
    }

    /// A pool with one worker for each core.
    pub fn for_this_machine(entropy: &dyn Entropy) -> Result<Self, IssuerError> {
        Self::new(
            std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            entropy,
        )
    }

    /// The PHC string of a new password.
    ///
    /// # Errors
    /// [`IssuerError::Overloaded`] when too many are waiting.
    pub async fn hash(&self, password: SecretString, entropy: Arc<dyn Entropy>) -> Result<String, IssuerError> {
        self.run(move |_| hash_password(password.expose_secret(), entropy.as_ref()))
            .await?
    }

    /// Whether the password is that of the hash. `None`, for a user that does not exist, takes the same work and is false.
    ///
    /// # Errors
    /// [`IssuerError::Overloaded`] when too many are waiting; [`IssuerError::Internal`] for a hash that cannot be read.
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, IssuerError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let matches = self
            .run(move |memory| verify_password(password.expose_secret(), &hash, memory))
            .await??;
        Ok(known && matches)
    }

    /// How many blocks lie ready for the next hashes.
    #[cfg(test)]
    pub(crate) fn kept_blocks(&self) -> usize {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.iter().map(Vec::len).sum()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, IssuerError> {
        let place = Arc::clone(&self.queue)
            .try_acquire_owned()
            .map_err(|error| match error {
                TryAcquireError::NoPermits => IssuerError::Overloaded,
                TryAcquireError::Closed => IssuerError::Internal("the password pool is closed".to_owned()),
            })?;
        let worker = Arc::clone(&self.workers).acquire_owned().await;
        let worker = worker.map_err(|_| IssuerError::Internal("the password pool is closed".to_owned()))?;
        // The permits go along: work that its caller gave up on still takes a core.
        let memory = Arc::clone(&self.memory);
        let done = spawn_blocking(move || {
            let pool = || memory.lock().unwrap_or_else(PoisonError::into_inner);
            let mut blocks = pool().pop().unwrap_or_default();
            let done = work(&mut blocks);
            if blocks.len() <= KEPT_BLOCKS {
                pool().push(blocks);
            }
            drop((worker, place));
            done
        });
        done.await
            .map_err(|error| IssuerError::Internal(format!("hashing a password failed: {error}")))
    }
}

impl fmt::Debug for PasswordPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordPool")
            .field("free", &self.workers.available_permits())
            .finish_non_exhaustive()
    }
}

/// The PHC string of a new password: argon2id with the parameters that OWASP recommends (m=19456, t=2, p=1).
pub fn hash_password(password: &str, entropy: &dyn Entropy) -> Result<String, IssuerError> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    let params = Params::new(19_456, 2, 1, None).map_err(|error| IssuerError::Internal(error.to_string()))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| IssuerError::Internal(format!("a password cannot be hashed: {error}")))
}

/// As `PasswordVerifier` does, but in memory that was used before.
fn verify_password(password: &str, hash: &str, memory: &mut Vec<Block>) -> Result<bool, IssuerError> {
    let unreadable =
        |error: &dyn fmt::Display| IssuerError::Internal(format!("a password's hash cannot be used: {error}"));
    let hash = PasswordHash::new(hash).map_err(|error| unreadable(&error))?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(unreadable(&"it has no salt or no output"));
    };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|error| unreadable(&error))?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from);
    let version = version.map_err(|error| unreadable(&error))?;
    let params = Params::try_from(&hash).map_err(|error| unreadable(&error))?;
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::default());
    }
    let mut output = vec![0; expected.len()];
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut output, memory)
        .map_err(|error| unreadable(&error))?;
    // `Output` compares in constant time.
    Ok(Output::new(&output).map_err(|error| unreadable(&error))? == *expected)
}
