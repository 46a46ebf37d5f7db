//! Bytes as the text of a token: a prefix, then base64url of the bytes and their checksum, so that what was cut or mistyped is
//! refused without a look at the index.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const CHECKSUM_BYTES: usize = 4;

/// The text of what is readable and what is secret; `BYTES` with the checksum, a multiple of three.
pub(crate) fn encode<const BYTES: usize>(prefix: &str, readable: &[u8], secret: &[u8; 32]) -> String {
    let mut bytes = [0; BYTES];
    let (signed, checksum) = bytes.split_at_mut(BYTES - CHECKSUM_BYTES);
    signed[..readable.len()].copy_from_slice(readable);
    signed[readable.len()..].copy_from_slice(secret);
    checksum.copy_from_slice(&crc32fast::hash(signed).to_be_bytes());
    let mut text = String::with_capacity(prefix.len() + BYTES / 3 * 4);
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    text
}

/// The bytes of what [`encode`] wrote, with their checksum.
pub(crate) fn decode<const BYTES: usize>(prefix: &str, text: &str) -> Option<[u8; BYTES]> {
    let body = text.strip_prefix(prefix)?;
    let mut bytes = [0; BYTES];
    if body.len() != BYTES / 3 * 4 || URL_SAFE_NO_PAD.decode_slice(body, &mut bytes) != Ok(BYTES) {
        return None;
    }
    let (signed, checksum) = bytes.split_at(BYTES - CHECKSUM_BYTES);
    (crc32fast::hash(signed).to_be_bytes() == checksum).then_some(bytes)
}
