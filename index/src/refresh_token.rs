//! The text of a refresh token.

use crate::checked_text;
use crate::family::{FamilyLocator, FamilyPosition};
use crate::locator::{Home, Nonce};

/// `tbr_` and, in base64url, the family, the number of the token in it, its secret part and a checksum.
///
/// The secret part is derived from everything before it, so one that was made up is refused without a look at the index, and
/// the index stores nothing that could be presented.
#[derive(Clone, Copy)]
pub struct RefreshToken {
    /// The family that it belongs to.
    pub family: FamilyLocator,
    /// Which of the family's tokens; the first is 1.
    pub sequence: u32,
    /// What only the issuer can derive from the rest.
    pub secret: [u8; 32],
}

impl RefreshToken {
    /// What a refresh token begins with; secret scanners look for it.
    pub const PREFIX: &'static str = "tbr_";
    /// The length of [`Self::derived_from`].
    pub const READABLE_BYTES: usize = 16 + FamilyPosition::BYTES + 16 + 4;
    const BYTES: usize = Self::READABLE_BYTES + 32 + 4;

    /// What the secret part is derived from.
    pub fn derived_from(family: &FamilyLocator, sequence: u32) -> [u8; Self::READABLE_BYTES] {
        let mut bytes = [0; Self::READABLE_BYTES];
        bytes[..16].copy_from_slice(family.home.as_bytes());
        bytes[16..31].copy_from_slice(&family.position.to_bytes());
        bytes[31..47].copy_from_slice(&family.nonce.0);
        bytes[47..].copy_from_slice(&sequence.to_be_bytes());
        bytes
    }

    /// The token's text, 120 characters.
    pub fn encode(&self) -> String {
        checked_text::encode::<{ Self::BYTES }>(
            Self::PREFIX,
            &Self::derived_from(&self.family, self.sequence),
            &self.secret,
        )
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = checked_text::decode::<{ Self::BYTES }>(Self::PREFIX, text)?;
        let signed = &bytes[..Self::BYTES - 4];
        let family = FamilyLocator {
            home: Home::from_bytes(*signed.first_chunk()?)?,
            position: FamilyPosition::from_bytes(&signed[16..31])?,
            nonce: Nonce(*signed[31..].first_chunk()?),
        };
        Some(Self {
            family,
            sequence: u32::from_be_bytes(*signed[47..].first_chunk()?),
            secret: *signed.last_chunk()?,
        })
    }
}
