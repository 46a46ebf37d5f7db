//! Where a token stands in the index.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where all keys of one subject live: a digest of the subject, and the hash tag of those keys in Redis Cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Home([u8; 16]);

impl Home {
    /// A hash tag ends at the first `}`, so none may stand inside.
    pub(crate) fn new(mut digest: [u8; 16]) -> Self {
        for byte in &mut digest {
            if *byte == b'}' {
                *byte = b'|';
            }
        }
        Self(digest)
    }

    /// Reads the bytes of a hash tag. `None` for what none has: a home with a brace would be a tag of another shape than the
    /// one that was written.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (!bytes.contains(&b'}')).then_some(Self(bytes))
    }

    /// The bytes of the hash tag.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// One place for a live token: a digest of everything that tells two tokens of a subject apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub [u8; 16]);

/// Tells apart the tokens that held a slot one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 16]);

/// Where a token is, and which one it is. The token itself carries it: as `jti` in a JWT, as its readable part when opaque.
/// It is no secret and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Locator {
    /// The subject's keys.
    pub home: Home,
    /// The slot among them.
    pub slot: Slot,
    /// The token among those that held the slot.
    pub nonce: Nonce,
}

impl Locator {
    /// The length of [`Self::to_bytes`].
    pub const BYTES: usize = 48;

    /// Home, slot and nonce, one after the other.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.home.0);
        bytes[16..32].copy_from_slice(&self.slot.0);
        bytes[32..].copy_from_slice(&self.nonce.0);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote. `None` for what it cannot have written.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (mut home, mut slot, mut nonce) = ([0; 16], [0; 16], [0; 16]);
        home.copy_from_slice(&bytes[..16]);
        slot.copy_from_slice(&bytes[16..32]);
        nonce.copy_from_slice(&bytes[32..]);
        Some(Self {
            home: Home::from_bytes(home)?,
            slot: Slot(slot),
            nonce: Nonce(nonce),
        })
    }

    /// The form in a token: base64url without padding, 64 characters.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.to_bytes())
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::BYTES];
        // The length first: the decoder would refuse a longer text too, but only after reading it.
        if text.len() != 64 || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(Self::BYTES) {
            return None;
        }
        Self::from_bytes(&bytes)
    }
}
