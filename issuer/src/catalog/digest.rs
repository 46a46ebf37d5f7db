//! The digest of a secret, as text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenbind_index::SecretHash;

/// Reads SHA-256 from 64 hexadecimal digits or 43 characters of base64url.
pub(super) fn parse(text: &str) -> Result<[u8; 32], &'static str> {
    let bytes = match text.len() {
        64 => hex(text),
        43 => URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok()),
        _ => None,
    };
    let bytes =
        bytes.ok_or("must be SHA-256 of a generated secret: 64 hexadecimal digits or 43 characters of base64url")?;
    // What a script computes whose variable was not set.
    let of_nothing = ["", "\n"].iter().any(|nothing| SecretHash::of(nothing).matches(&bytes));
    if of_nothing {
        Err("is the digest of nothing")
    } else {
        Ok(bytes)
    }
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|it| u8::try_from(it).ok()))
        .collect::<Option<_>>()?;
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_base64url_are_the_same_digest() {
        let hash = SecretHash::of("tbs_secret");
        let hex = hash
            .as_bytes()
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!(parse(&hex), Ok(*hash.as_bytes()));
        assert_eq!(parse(&hex.to_uppercase()), Ok(*hash.as_bytes()));
        assert_eq!(parse(&URL_SAFE_NO_PAD.encode(hash.as_bytes())), Ok(*hash.as_bytes()));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "tbs_secret",
            &"g".repeat(64),
            &"ä".repeat(32),
            &"!".repeat(43),
            &"a".repeat(63),
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_digest_of_nothing_is_refused() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(parse(empty), Err("is the digest of nothing"));
    }
}
