//! SHA-256 over fields that cannot run into each other.

use aws_lc_rs::digest::SHA256;

/// Hashes a domain and fields, each with its length before it, so that no choice of delimiters inside a field can make two
/// different inputs equal. They are joined first: hashing them one by one costs several times as much.
pub(crate) struct FieldDigest(Vec<u8>);

/// Most inputs are shorter.
const ROOM: usize = 256;

impl FieldDigest {
    pub(crate) fn new(domain: &str) -> Self {
        Self(Vec::with_capacity(ROOM)).field(domain.as_bytes())
    }

    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// A list counts its items first, so that it cannot run into the field after it.
    pub(crate) fn list<'a>(mut self, items: impl ExactSizeIterator<Item = &'a str>) -> Self {
        self.0.extend_from_slice(&(items.len() as u64).to_be_bytes());
        for item in items {
            self = self.field(item.as_bytes());
        }
        self
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        sha256(&self.0)
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
