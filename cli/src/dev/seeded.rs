//! The fixed keys of every development stack.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use tokenbind_index::Entropy;

/// Answers the same bytes in every process that has the same text: no secret at all.
#[derive(Debug)]
pub(super) struct Seeded {
    text: &'static str,
    block: AtomicU64,
}

impl Seeded {
    /// The bytes of a text.
    pub(super) fn new(text: &'static str) -> Self {
        Self {
            text,
            block: AtomicU64::new(0),
        }
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let block = self.block.fetch_add(1, Ordering::SeqCst);
            let bytes = digest(&SHA256, format!("{} {block}", self.text).as_bytes());
            chunk.copy_from_slice(&bytes.as_ref()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_gives_the_same_bytes_and_no_two_blocks_are_alike() {
        let read = |text| {
            let (seeded, mut bytes) = (Seeded::new(text), [0; 70]);
            seeded.fill(&mut bytes[..38]);
            seeded.fill(&mut bytes[38..]);
            bytes
        };
        let bytes = read("a");
        assert_eq!(bytes, read("a"));
        assert_ne!(bytes, read("b"));
        assert_ne!(bytes[..32], bytes[38..]);
    }
}
