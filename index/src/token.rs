//! What the index needs to know of a token's text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::TokenFormat;

use crate::MAX_TOKEN_BYTES;
use crate::checked_text;
use crate::digest::sha256;
use crate::locator::Locator;

/// SHA-256 of a whole token. The index compares it, so whoever shows a token with the digest of a record shows the very
/// token that was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// The digest of a token's text.
    pub fn of(token: &str) -> Self {
        Self(sha256(token.as_bytes()))
    }
}

/// The text of an opaque token: `tbo_` and, in base64url, its locator, its secret part and a checksum.
///
/// The checksum refuses a mistyped or truncated token without a look at the index; it protects nothing.
#[derive(Clone, Copy)]
pub struct OpaqueToken {
    /// The readable part.
    pub locator: Locator,
    /// What only the issuer can derive from the locator.
    pub secret: [u8; 32],
}

impl OpaqueToken {
    /// What an opaque token begins with; secret scanners look for it.
    pub const PREFIX: &'static str = "tbo_";
    const BYTES: usize = Locator::BYTES + 32 + 4;

    /// The token's text, 116 characters.
    pub fn encode(&self) -> String {
        checked_text::encode::<{ Self::BYTES }>(Self::PREFIX, &self.locator.to_bytes(), &self.secret)
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = checked_text::decode::<{ Self::BYTES }>(Self::PREFIX, text)?;
        let signed = &bytes[..Self::BYTES - 4];
        let locator = Locator::from_bytes(signed.first_chunk()?)?;
        Some(Self {
            locator,
            secret: *signed.last_chunk()?,
        })
    }
}

/// What a token says of itself, unverified: enough to find its record, whose digest then decides.
#[derive(Clone, Copy, Debug)]
pub struct TokenReference {
    /// What it looks like.
    pub format: TokenFormat,
    /// Where its record is.
    pub locator: Locator,
    /// To compare with the record's.
    pub digest: TokenDigest,
}

impl TokenReference {
    /// Reads a token of ours; `None` for anything else. Nothing is verified here.
    pub fn parse(token: &str) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (format, locator) = if token.starts_with(OpaqueToken::PREFIX) {
            (TokenFormat::Opaque, OpaqueToken::decode(token)?.locator)
        } else {
            (TokenFormat::Jwt, jwt_locator(token)?)
        };
        Some(Self {
            format,
            locator,
            digest: TokenDigest::of(token),
        })
    }

    /// The record, if it is of this token, with what a JWT says itself put back into it.
    ///
    /// Nothing has to be verified for that: who shows a token with the digest of a record shows what an issuer wrote.
    pub fn own_record(&self, token: &str, record: Option<TokenRecord>) -> Option<TokenRecord> {
        #[derive(Deserialize)]
        struct Claims {
            sub: String,
            aud: Audience,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Audience {
            One(String),
            Several(Vec<String>),
        }
        let mut record = record.filter(|record| record.digest == self.digest.0)?;
        if self.format == TokenFormat::Jwt {
            let claims: Claims = serde_json::from_slice(&jwt_payload(token)?).ok()?;
            record.subject = claims.sub;
            record.audiences = match claims.aud {
                Audience::One(audience) => vec![audience],
                Audience::Several(audiences) => audiences,
            };
        }
        Some(record)
    }
}

fn jwt_locator(token: &str) -> Option<Locator> {
    #[derive(Deserialize)]
    struct Claims {
        jti: String,
    }
    let claims: Claims = serde_json::from_slice(&jwt_payload(token)?).ok()?;
    Locator::decode(&claims.jti)
}

fn jwt_payload(token: &str) -> Option<Vec<u8>> {
    let mut segments = token.split('.');
    let (_header, payload, _signature) = (segments.next()?, segments.next()?, segments.next()?);
    if segments.next().is_some() {
        return None;
    }
    URL_SAFE_NO_PAD.decode(payload).ok()
}
