//! The validator's answers as it sends them: the same on the wire as in [`v1`](crate::v1), but what they say of a token is
//! written by whoever knows it, without being copied into a message first.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

#[expect(missing_docs, clippy::pedantic, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/answering/tokenbind.v1.rs"));
}

pub use generated::*;

/// Writes a [`TokenFacts`](crate::v1::TokenFacts).
pub trait WriteFacts: Send + Sync + 'static {
    /// How many bytes [`Self::write`] writes.
    fn written_len(&self) -> usize;

    /// Writes the encoded message.
    fn write(&self, buffer: &mut dyn BufMut);
}

/// A `TokenFacts` that is only ever sent.
#[derive(Clone, Default)]
pub struct Facts(Option<Arc<dyn WriteFacts>>);

impl Facts {
    /// Facts that are written when the answer is.
    pub fn new(facts: Arc<dyn WriteFacts>) -> Self {
        Self(Some(facts))
    }
}

/// A token's facts have no business in a log.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Facts")
    }
}

impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        self.encode_to_vec() == other.encode_to_vec()
    }
}

impl Message for Facts {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        if let Some(facts) = &self.0 {
            facts.write(buffer);
        }
    }

    fn encoded_len(&self) -> usize {
        self.0.as_ref().map_or(0, |facts| facts.written_len())
    }

    /// Nobody reads what the validator sends but its clients, and they have [`v1`](crate::v1).
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buffer, context)
    }

    fn clear(&mut self) {
        self.0 = None;
    }
}
