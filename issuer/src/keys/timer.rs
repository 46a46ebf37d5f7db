//! Makes signing keys by the clock, in the directory where the issuer finds them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, io};

use prost_types::Timestamp;
use tokenbind_index::{Clock, Entropy};
use tokenbind_runtime::watched::files_in;

use super::files::KeyFileError;
use crate::context::Issuer;
use crate::signing;
use crate::telemetry;

/// How long a file stays after its key was superseded, beyond the wait of the keys, in seconds: for issuers that are late.
const KEPT_SECONDS: u64 = 3_600;
/// How often a failure is told while it lasts, in seconds.
const TELL_SECONDS: u64 = 600;

/// Rotates signing keys by itself.
#[derive(Clone, Debug)]
pub struct RotationTimer {
    directory: PathBuf,
    every: Duration,
    /// When a failure was told last, in seconds since 1970.
    told_at: Arc<AtomicU64>,
}

impl RotationTimer {
    /// Rotates the keys of a directory.
    pub fn new(directory: PathBuf, every: Duration) -> Self {
        Self {
            directory,
            every,
            told_at: Arc::default(),
        }
    }

    /// Makes the first key, if there is none.
    pub fn begin(&self, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<(), KeyFileError> {
        let failed = |error: io::Error| KeyFileError::new(&self.directory, error);
        if files_in(&self.directory).map_err(failed)?.is_empty() {
            self.make(clock.now_seconds(), entropy)?;
        }
        Ok(())
    }

    /// Makes the next key when it is time, and removes what has no more use. What fails is tried again.
    pub(super) fn turn(&self, issuer: &Issuer, newest_from: i64, active_from: i64) {
        let now = issuer.clock.now_seconds();
        let wait = issuer.key_wait.as_secs();
        let next = u64::try_from(newest_from).unwrap_or(0) + self.every.as_secs();
        if now + wait >= next {
            // Issuers that share the directory come to the same name, and one of them is the first.
            match self.make(next, issuer.entropy.as_ref()) {
                Ok(()) => tracing::info!(directory = %self.directory.display(), "made the next signing key"),
                Err(error) if now >= self.told_at.load(Ordering::Relaxed) + TELL_SECONDS => {
                    self.told_at.store(now, Ordering::Relaxed);
                    telemetry::key_files_read("signing", false);
                    tracing::error!(%error, "the next signing key cannot be made");
                }
                Err(_) => {}
            }
        }
        let superseded_for = now.saturating_sub(u64::try_from(active_from).unwrap_or(0));
        if superseded_for > wait + KEPT_SECONDS {
            let superseded = issuer.keys.held().superseded().len();
            if let Err(error) = self.remove(superseded) {
                tracing::warn!(%error, "a signing key that has no more use cannot be removed");
            }
        }
    }

    /// Makes a key at once, in the place of those that are there.
    pub(super) fn make_next(&self, issuer: &Issuer) -> Result<(), KeyFileError> {
        // The file of the key that comes next may be there: its name is from then.
        let at = issuer.clock.now_seconds() + issuer.key_wait.as_secs() + 1;
        self.make(at, issuer.entropy.as_ref())
    }

    fn make(&self, at: u64, entropy: &dyn Entropy) -> Result<(), KeyFileError> {
        let path = self.directory.join(file_name(at));
        let failed = |problem: &dyn std::fmt::Display| KeyFileError::new(&path, problem);
        let newest = files_in(&self.directory).map_err(|error| failed(&error))?.pop();
        if newest.is_some_and(|newest| newest > path) {
            return Err(failed(
                &"would not be the last by name, so it would never sign: name key files by date",
            ));
        }
        let pem = signing::generate_pem(entropy).map_err(|problem| failed(&problem))?;
        write_new(&self.directory, &path, pem.as_bytes()).map_err(|error| failed(&error))
    }

    /// Removes the oldest files, as many as there are superseded keys, if they were made here.
    fn remove(&self, superseded: usize) -> io::Result<()> {
        for path in files_in(&self.directory)?.iter().take(superseded) {
            if path.file_name().and_then(|name| name.to_str()).is_some_and(is_ours) {
                fs::remove_file(path)?;
                tracing::info!(file = %path.display(), "removed a signing key that has no more use");
            }
        }
        Ok(())
    }
}

/// Whole or not at all, and never over another. Only the owner may read it.
fn write_new(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        // Another issuer was faster.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

/// `20261122T053000Z.pem`.
fn file_name(seconds: u64) -> String {
    let at = Timestamp {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: 0,
    };
    format!("{}.pem", at.to_string().replace(['-', ':'], ""))
}

fn is_ours(name: &str) -> bool {
    let shape: Vec<u8> = name
        .bytes()
        .map(|byte| if byte.is_ascii_digit() { b'0' } else { byte })
        .collect();
    shape == b"00000000T000000Z.pem"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_date() {
        assert_eq!(file_name(1_763_789_400), "20251122T053000Z.pem");
        assert!(is_ours("20251122T053000Z.pem"));
        for other in ["2025-11-22.pem", "20251122T053000Z.pem.bak", "signing.pem", ""] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
