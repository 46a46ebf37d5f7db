//! The outside of our JWTs (RFC 9068).

use tokenbind_jose::CompactJws;
use tokenbind_proto::v1::Reason;

use super::claims::Claims;
use super::signing_key::SigningKey;

/// A JWT whose outside is in order; nothing of it is verified.
#[derive(Debug)]
pub(super) struct UnverifiedJwt<'a> {
    jws: CompactJws<'a>,
    pub(super) kid: String,
}

impl<'a> UnverifiedJwt<'a> {
    /// Reads a token; `None` for what no issuer of ours writes. No other kind of JWT passes as an access token (RFC 9068,
    /// section 4).
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let jws = CompactJws::parse(token).filter(|jws| jws.is_typ("at+jwt"))?;
        let kid = jws.kid()?.to_owned();
        Some(Self { jws, kid })
    }

    /// What the token says, once its signature is that of `key` and its issuer the one that the key belongs to.
    pub(super) fn verify(&self, key: &SigningKey) -> Result<Claims, Reason> {
        let payload = self.jws.verify(key.public()).ok_or(Reason::SignatureInvalid)?;
        let claims = Claims::from_slice(&payload).ok_or(Reason::TokenMalformed)?;
        if claims.iss != key.issuer() {
            return Err(Reason::IssuerMismatch);
        }
        Ok(claims)
    }
}
