//! Randomness is passed in, like time.

use rand::Rng as _;

/// Fills buffers with unpredictable bytes.
pub trait Entropy: Send + Sync + 'static {
    /// Fills all of `buffer`.
    fn fill(&self, buffer: &mut [u8]);
}

/// A cryptographic generator for each thread, seeded and reseeded by the operating system. Asking the operating system
/// itself for each nonce costs thirty times as much.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine for randomness"
    )]
    fn fill(&self, buffer: &mut [u8]) {
        rand::rng().fill_bytes(buffer);
    }
}
