//! The outside of our JWTs: compact serialisation and header (RFC 7515, RFC 9068).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenbind_proto::v1::Reason;

use super::claims::Claims;
use super::json::Members;
use super::signing_key::SigningKey;

/// The longest `kid`, in characters.
const MAX_KID_CHARACTERS: usize = 128;

/// A JWT whose outside is in order; nothing of it is verified.
#[derive(Debug)]
pub(super) struct UnverifiedJwt<'a> {
    /// What was signed: header and payload as they came.
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    alg: String,
    pub(super) kid: String,
}

impl<'a> UnverifiedJwt<'a> {
    /// Reads a token; `None` for what no issuer of ours writes.
    ///
    /// Of the header only `alg`, `typ`, `kid` and `crit` are looked at. `jwk`, `jku`, `x5u` and `x5c` would let the token
    /// choose the key that it is verified with.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if payload.is_empty() || payload.contains('.') || signature.is_empty() {
            return None;
        }
        let mut header = Members::from_slice(&decode(header)?)?;
        // We understand no extension, so none that is critical (RFC 7515, section 4.1.11).
        if header.has("crit") || !is_access_token(&header.take_text("typ")?) {
            return None;
        }
        let (alg, kid) = (header.take_text("alg")?, header.take_text("kid")?);
        let plain = |kid: &str| kid.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=MAX_KID_CHARACTERS).contains(&kid.len()) || !plain(&kid) {
            return None;
        }
        Some(Self {
            signed,
            payload,
            signature: decode(signature)?,
            alg,
            kid,
        })
    }

    /// What the token says, once its signature is that of `key` and its issuer the one that the key belongs to.
    pub(super) fn verify(&self, key: &SigningKey) -> Result<Claims, Reason> {
        if self.alg != key.alg() || !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(Reason::SignatureInvalid);
        }
        let payload = decode(self.payload).ok_or(Reason::TokenMalformed)?;
        let claims = Claims::from_slice(&payload).ok_or(Reason::TokenMalformed)?;
        if claims.iss != key.issuer() {
            return Err(Reason::IssuerMismatch);
        }
        Ok(claims)
    }
}

/// RFC 9068, section 4: no other kind of JWT passes as an access token.
fn is_access_token(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

/// Strict: no padding, no white space, no bits left over.
fn decode(segment: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(segment).ok()
}
