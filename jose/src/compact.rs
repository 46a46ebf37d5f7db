//! The outside of a JWT: compact serialisation and header (RFC 7515).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::json::Members;
use crate::jwk::PublicKey;

/// The longest `kid`, in bytes.
pub const MAX_KID_BYTES: usize = 128;

/// A JWS whose outside is in order; nothing of it is verified. Formats without its content.
pub struct CompactJws<'a> {
    /// What was signed: header and payload as they came.
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

impl<'a> CompactJws<'a> {
    /// Reads a token; `None` for what is none, has a header that names something twice, or asks for an extension: we
    /// understand none, so none may be critical (RFC 7515, section 4.1.11).
    pub fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if payload.is_empty() || payload.contains('.') || signature.is_empty() {
            return None;
        }
        let mut header = Members::from_slice(&decode(header)?)?;
        if header.has("crit") {
            return None;
        }
        let (alg, kid, typ) = (
            header.take_text("alg")?,
            optional(&mut header, "kid")?,
            optional(&mut header, "typ")?,
        );
        let plain =
            |kid: &String| (1..=MAX_KID_BYTES).contains(&kid.len()) && kid.bytes().all(|b| b.is_ascii_graphic());
        if !kid.as_ref().is_none_or(plain) {
            return None;
        }
        Some(Self {
            signed,
            payload,
            signature: decode(signature)?,
            alg,
            kid,
            typ,
        })
    }

    /// Which key it says that signed it.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// How it says that it was signed.
    pub fn alg(&self) -> &str {
        &self.alg
    }

    /// Whether its media type is this one, with or without `application/` (RFC 7515, section 4.1.9).
    pub fn is_typ(&self, name: &str) -> bool {
        let is = |typ: &str| typ.eq_ignore_ascii_case(name);
        self.typ.as_deref().is_some_and(|typ| {
            let (prefix, rest) = typ.split_at_checked("application/".len()).unwrap_or(("", typ));
            is(typ) || (prefix.eq_ignore_ascii_case("application/") && is(rest))
        })
    }

    /// Whether it states no media type.
    pub fn has_no_typ(&self) -> bool {
        self.typ.is_none()
    }

    /// The payload, if the key made the signature with the algorithm that both name.
    pub fn verify(&self, key: &PublicKey) -> Option<Vec<u8>> {
        let made = self.alg == key.algorithm().as_str() && key.verifies(self.signed.as_bytes(), &self.signature);
        if made { decode(self.payload) } else { None }
    }

    /// Whether the key made the signature, whatever algorithm the header names: for the work alone.
    pub fn verify_anyway(&self, key: &PublicKey) -> bool {
        key.verifies(self.signed.as_bytes(), &self.signature)
    }

    /// The payload as it came: to find whom to ask for the key, never to believe.
    pub fn unverified_payload(&self) -> Option<Vec<u8>> {
        decode(self.payload)
    }
}

impl fmt::Debug for CompactJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompactJws").finish_non_exhaustive()
    }
}

/// A member that may be absent, but not of another type.
#[expect(clippy::option_option, reason = "the outer one is for another type, and only here")]
fn optional(header: &mut Members, name: &str) -> Option<Option<String>> {
    if header.has(name) {
        header.take_text(name).map(Some)
    } else {
        Some(None)
    }
}

/// Strict: no padding, no white space, no bits left over.
fn decode(segment: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(segment).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jws(header: &str) -> String {
        format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn only_three_strict_segments_are_read_c40() {
        let good = jws(r#"{"alg":"EdDSA","kid":"k","typ":"JWT"}"#);
        assert!(CompactJws::parse(&good).is_some());
        for bad in [
            "",
            "..",
            "a.b",
            &format!("{good}.AA"),
            &format!("{good}="),
            &format!(" {good}"),
            &good.replace(".e30.", ".."),
            &good.replace(".AA", "."),
            &good.replace(".AA", ".AB"),
        ] {
            assert!(CompactJws::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_header_is_strict_c35_c36_a2() {
        let long = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(MAX_KID_BYTES + 1));
        for bad in [
            r#"{"kid":"k"}"#,
            r#"{"alg":1}"#,
            r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
            r#"{"alg":"EdDSA","crit":[]}"#,
            r#"{"alg":"EdDSA","crit":["exp"]}"#,
            r#"{"alg":"EdDSA","kid":7}"#,
            r#"{"alg":"EdDSA","kid":null}"#,
            r#"{"alg":"EdDSA","kid":""}"#,
            r#"{"alg":"EdDSA","kid":"a\u0000"}"#,
            r#"{"alg":"EdDSA","kid":"a\r\nb"}"#,
            r#"{"alg":"EdDSA","typ":["JWT"]}"#,
            "[]",
            &long,
        ] {
            assert!(CompactJws::parse(&jws(bad)).is_none(), "{bad}");
        }
        let bare = jws(r#"{"alg":"EdDSA"}"#);
        let parsed = CompactJws::parse(&bare).unwrap();
        assert!(parsed.kid().is_none() && parsed.has_no_typ());
    }

    #[test]
    fn a_media_type_is_compared_without_its_prefix_and_case() {
        for (typ, fits) in [
            ("at+jwt", true),
            ("application/AT+JWT", true),
            ("jwt", false),
            ("application/", false),
        ] {
            let text = jws(&format!(r#"{{"alg":"EdDSA","typ":"{typ}"}}"#));
            assert_eq!(CompactJws::parse(&text).unwrap().is_typ("at+jwt"), fits, "{typ}");
        }
    }
}
