//! Every key, in one place.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `<namespace>:{<home>}<slot>` | string, expires | the record of the slot's live token |
//! | `<namespace>:{<home>}<position>` | string, expires | the record of a family of refresh tokens; shorter than a slot's |
//! | `<namespace>:{<home>}` | sorted set, expires | the subject's list: slots and families by end of life in milliseconds |
//! | `<namespace>:{<kind>}<digest>` | hash | a document: `d` body, `v` version, `g` generation |
//! | `<namespace>:{<kind>}` | sorted set | the ids of the documents of a kind |
//! | `<namespace>:{<home or kind>}m` | string, expires at once | nothing: see `mark.lua` |
//! | `<namespace>:{attempts}<counter>` | hash, expires | failed guesses: `f` when they are forgiven, `u` until when they hold up |
//! | `<namespace>:u<digest>` | string, expires | that something was used up |
//! | `<namespace>:{unused <number>}` | – | nothing: for commands that are to reach a node and find nothing |
//!
//! What stands in braces is the hash tag of Redis Cluster: all keys of a subject, all documents of a kind, and all counters
//! live on one node, so every script is atomic there too. Homes, slots, digests and counters are raw bytes (the smallest
//! form), and user data is never part of a key but as a digest: no id can make a key of one kind look like another.
//!
//! A live token costs a record and a share of a list, so their keys have no letter for their kind: what stands in the braces
//! tells. A home is 16 bytes without a closing brace, and nothing else has a name of 16 bytes.

use crate::attempts::AttemptKey;
use crate::digest::FieldDigest;
use crate::document::DocumentKind;
use crate::family::FamilyPosition;
use crate::locator::{Home, Slot};
use crate::namespace::Namespace;
use crate::single_use::UseDigest;

/// Builds the keys of one namespace.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    namespace: Namespace,
}

impl Keys {
    pub(super) fn new(namespace: Namespace) -> Self {
        Self { namespace }
    }

    /// What the records of a subject begin with; the scripts append a slot or the position of a family.
    pub(super) fn record_prefix(&self, home: Home) -> Vec<u8> {
        self.tagged(b":{", home.as_bytes(), 16)
    }

    pub(super) fn record(&self, home: Home, slot: Slot) -> Vec<u8> {
        let mut key = self.record_prefix(home);
        key.extend_from_slice(&slot.0);
        key
    }

    pub(super) fn family(&self, home: Home, position: FamilyPosition) -> Vec<u8> {
        let mut key = self.tagged(b":{", home.as_bytes(), FamilyPosition::BYTES);
        key.extend_from_slice(&position.to_bytes());
        key
    }

    pub(super) fn list(&self, home: Home) -> Vec<u8> {
        self.tagged(b":{", home.as_bytes(), 0)
    }

    /// What nobody reads, where the records of a subject are.
    pub(super) fn mark(&self, home: Home) -> Vec<u8> {
        marked(self.list(home))
    }

    /// What nobody reads, where the documents of a kind are.
    pub(super) fn document_mark(&self, kind: DocumentKind) -> Vec<u8> {
        marked(self.documents(kind))
    }

    pub(super) fn document(&self, kind: DocumentKind, id: &str) -> Vec<u8> {
        let digest: [u8; 16] = FieldDigest::new("tokenbind document 1")
            .field(id.as_bytes())
            .truncated();
        let mut key = self.documents(kind);
        key.extend_from_slice(&digest);
        key
    }

    pub(super) fn documents(&self, kind: DocumentKind) -> Vec<u8> {
        let tag: &[u8] = match kind {
            DocumentKind::Application => b"application",
            DocumentKind::User => b"user",
            DocumentKind::Resource => b"resource",
            DocumentKind::SigningKey => b"key",
            DocumentKind::OpaqueKey => b"opaque-key",
        };
        self.tagged(b":{", tag, 16)
    }

    /// No document is of this kind.
    pub(super) fn attempts(&self, counter: AttemptKey) -> Vec<u8> {
        let mut key = self.tagged(b":{", b"attempts", 4);
        key.extend_from_slice(&counter.to_bytes());
        key
    }

    /// A key by itself: wherever it lives, one command reads and writes it.
    pub(super) fn used(&self, what: UseDigest) -> Vec<u8> {
        let mut key = self.namespace.as_str().as_bytes().to_vec();
        key.extend_from_slice(b":u");
        key.extend_from_slice(&what.0);
        key
    }

    /// The stream of the audit trail.
    pub(super) fn audit(&self) -> Vec<u8> {
        let mut key = self.namespace.as_str().as_bytes().to_vec();
        key.extend_from_slice(b":audit");
        key
    }

    /// A key that nothing uses, and that lives where it is wanted; `None` if none is soon found.
    pub(super) fn unused(&self, is_wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        // With a name of 16 bytes it would be a home.
        let mut names = (0..1_u32 << 18).map(|number| format!("unused {number}"));
        names.find_map(|name| Some(self.tagged(b":{", name.as_bytes(), 0)).filter(|key| is_wanted(key)))
    }

    fn tagged(&self, opening: &[u8], tag: &[u8], room: usize) -> Vec<u8> {
        let namespace = self.namespace.as_str().as_bytes();
        let mut key = Vec::with_capacity(namespace.len() + opening.len() + tag.len() + 1 + room);
        key.extend_from_slice(namespace);
        key.extend_from_slice(opening);
        key.extend_from_slice(tag);
        key.push(b'}');
        key
    }
}

fn marked(mut key: Vec<u8>) -> Vec<u8> {
    key.push(b'm');
    key
}
