//! Passwords of users: argon2id, on a bounded pool.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher as _, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::Entropy;
use tokio::task::spawn_blocking;

use crate::error::IssuerError;
use crate::fair_queue::{FairQueue, Place};

/// How many requests of one application may wait for each worker before further ones are refused. At about 20 ms for each hash
/// its last in the queue waits a third of a second, or four times as long while others flood too.
const WAITING_PER_WORKER: usize = 16;
/// In whose part of the queue the passwords of administrators' calls are. No application has this name.
const ADMINISTRATION: &str = "";

/// Of 1 KiB each: what our own hashes take. A hash of the catalog may take more, which is given back.
const KEPT_BLOCKS: usize = 19_456;

/// Hashes and verifies passwords, a bounded number at a time.
///
/// A hash takes 19 MiB and a core for tens of milliseconds on purpose, so without a bound a flood of guesses takes both from
/// everybody else.
pub struct PasswordPool {
    queue: FairQueue,
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
            queue: FairQueue::new(workers, WAITING_PER_WORKER),
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

    /// A place in the queue for a password that comes through this application.
    ///
    /// # Errors
    /// [`IssuerError::Overloaded`] when too many are waiting.
    pub(crate) fn place(&self, client_id: &str) -> Result<Place, IssuerError> {
        self.queue.enter(client_id)
    }

    /// The PHC string of a new password.
    ///
    /// # Errors
    /// [`IssuerError::Overloaded`] when too many are waiting.
    pub async fn hash(&self, password: SecretString, entropy: Arc<dyn Entropy>) -> Result<String, IssuerError> {
        let place = self.place(ADMINISTRATION)?;
        self.run(place, move |_| {
            hash_password(password.expose_secret(), entropy.as_ref())
        })
        .await?
    }

    /// Whether the password is that of the hash. `None`, for a user that does not exist, takes the same work and is false.
    ///
    /// # Errors
    /// [`IssuerError::Internal`] for a hash that cannot be read.
    pub(crate) async fn verify(
        &self,
        place: Place,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, IssuerError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let matches = self
            .run(place, move |memory| {
                verify_password(password.expose_secret(), &hash, memory)
            })
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
        place: Place,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, IssuerError> {
        let turn = place.turn().await?;
        // The turn goes along: work that its caller gave up on still takes a core.
        let memory = Arc::clone(&self.memory);
        let done = spawn_blocking(move || {
            let pool = || memory.lock().unwrap_or_else(PoisonError::into_inner);
            let mut blocks = pool().pop().unwrap_or_default();
            let done = work(&mut blocks);
            if blocks.len() <= KEPT_BLOCKS {
                pool().push(blocks);
            }
            drop(turn);
            done
        });
        done.await
            .map_err(|error| IssuerError::Internal(format!("hashing a password failed: {error}")))
    }
}

impl fmt::Debug for PasswordPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordPool")
            .field("free", &self.queue.idle())
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
