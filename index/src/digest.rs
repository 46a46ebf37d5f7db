//! SHA-256 over fields that cannot run into each other.

use aws_lc_rs::digest::{Context, SHA256};

/// Hashes a domain and fields, each with its length before it, so that no choice of delimiters inside a field can make two
/// different inputs equal.
pub(crate) struct FieldDigest(Context);

impl FieldDigest {
    pub(crate) fn new(domain: &str) -> Self {
        Self(Context::new(&SHA256)).field(domain.as_bytes())
    }

    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// A list counts its items first, so that it cannot run into the field after it.
    pub(crate) fn list<'a>(mut self, items: impl ExactSizeIterator<Item = &'a str>) -> Self {
        self.0.update(&(items.len() as u64).to_be_bytes());
        for item in items {
            self = self.field(item.as_bytes());
        }
        self
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        sized(self.0.finish().as_ref())
    }

    /// The first `N` bytes of the digest.
    pub(crate) fn truncated<const N: usize>(self) -> [u8; N] {
        sized(&self.finish())
    }
}

/// The SHA-256 of `bytes` alone.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    sized(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
}

/// The first `N` of at least `N` bytes.
fn sized<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[..N]);
    out
}
