//! Derives the secret part of opaque tokens, so that a live one can be answered again although nobody stores it (S5, S18).

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tokenbind_index::{Entropy, FamilyLocator, Locator, OpaqueToken, RefreshToken};
use zeroize::Zeroizing;

use crate::error::IssuerError;
use crate::keys::{self, KeyFile, KeyFileError, Ring};

/// The shortest key, in bytes: that of the hash.
const LEAST_KEY_BYTES: usize = 32;
/// The longest name of a key, in bytes: each record holds one.
const MAX_ID_BYTES: usize = 64;
/// What the keys are used for must not give the same bytes.
const ACCESS_DOMAIN: &[u8] = b"tokenbind opaque token 1\0";
const REFRESH_DOMAIN: &[u8] = b"tokenbind refresh token 1\0";
const NOTHING_LEFT: IssuerError = IssuerError::KeysWithdrawn("opaque");
const CHECK_DOMAIN: &[u8] = b"tokenbind opaque key check 1\0";

/// A key that opaque tokens are derived with. Formats as its name alone.
pub struct OpaqueKey {
    id: Arc<str>,
    key: Key,
    check: [u8; 16],
}

impl OpaqueKey {
    fn new(id: &str, bytes: &[u8]) -> Self {
        let key = Key::new(HMAC_SHA256, bytes);
        let mut check = [0; 16];
        check.copy_from_slice(&secret(&key, CHECK_DOMAIN, &[])[..16]);
        Self {
            id: id.into(),
            key,
            check,
        }
    }

    /// A new one. Its name is random as well: records of another process must not look like ours.
    pub(crate) fn of(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; LEAST_KEY_BYTES]);
        entropy.fill(bytes.as_mut_slice());
        let mut id = [0; 6];
        entropy.fill(&mut id);
        let id = format!(
            "generated-{}",
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id)
        );
        Self::new(&id, bytes.as_slice())
    }

    /// Tells whether two keys are the same, and nothing of what is derived with them.
    pub(crate) fn check(&self) -> &[u8] {
        &self.check
    }

    fn token(&self, locator: Locator) -> String {
        OpaqueToken {
            locator,
            secret: *secret(&self.key, ACCESS_DOMAIN, &locator.to_bytes()),
        }
        .encode()
    }

    fn refresh_secret(&self, family: &FamilyLocator, sequence: u32) -> Zeroizing<[u8; 32]> {
        secret(&self.key, REFRESH_DOMAIN, &RefreshToken::derived_from(family, sequence))
    }
}

impl keys::Key for OpaqueKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn is(&self, other: &Self) -> bool {
        self.check == other.check
    }
}

impl fmt::Debug for OpaqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpaqueKey").field(&self.id).finish()
    }
}

/// The keys that opaque tokens are derived with: one for new tokens, and those that live tokens were derived with.
pub struct OpaqueKeys {
    ring: Ring<OpaqueKey>,
    /// Other issuers have keys that this one has not.
    lacks_some: AtomicBool,
}

impl OpaqueKeys {
    /// Reads a key file, or a directory of them. A file holds base64url of at least 32 bytes, or as many raw bytes; its name
    /// is the key's id, and the last by name is the newest.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        Ring::open(path, read).map(Self::of)
    }

    /// A new key that only this process has: for development.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::of(Ring::of(OpaqueKey::of(entropy)))
    }

    fn of(ring: Ring<OpaqueKey>) -> Self {
        Self {
            ring,
            lacks_some: AtomicBool::new(false),
        }
    }

    /// The keys themselves.
    pub(crate) fn ring(&self) -> &Ring<OpaqueKey> {
        &self.ring
    }

    /// Remembers which keys only other issuers have.
    pub(crate) fn set_lacking(&self, lacking: &[String]) {
        let lacks_some = !lacking.is_empty();
        if lacks_some != self.lacks_some.swap(lacks_some, Ordering::Relaxed) && lacks_some {
            tracing::warn!(keys = ?lacking, "other issuers have or had opaque keys that this one has not");
        }
    }

    /// Whether a token that none of the keys derives may have been derived by another issuer.
    pub(crate) fn lacks_some(&self) -> bool {
        self.lacks_some.load(Ordering::Relaxed)
    }

    /// A new token: the id of the key for the record, and its text.
    pub(crate) fn derive(&self, locator: Locator) -> Result<(Arc<str>, String), IssuerError> {
        let held = self.ring.look();
        let key = held.usable().ok_or(NOTHING_LEFT)?;
        Ok((Arc::clone(&key.id), key.token(locator)))
    }

    /// The token of a record again; `None` when its key is gone.
    pub(crate) fn derive_again(&self, id: &str, locator: Locator) -> Option<String> {
        Some(self.ring.look().find(id)?.token(locator))
    }

    /// The id of the key that new tokens are derived with.
    pub(crate) fn in_use(&self) -> Result<Arc<str>, IssuerError> {
        let held = self.ring.look();
        let key = held.usable().ok_or(NOTHING_LEFT)?;
        Ok(Arc::clone(&key.id))
    }

    /// A key for another use, which every issuer with the same keys has: of the one in use, and worthless for tokens.
    pub(crate) fn subkey(&self, domain: &[u8]) -> Zeroizing<[u8; 32]> {
        secret(&self.ring.look().active().key, domain, &[])
    }

    /// Whether there is a key of that name.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.ring.look().find(id).is_some()
    }

    /// Whether what was derived with the key of that name is dead.
    pub(crate) fn is_withdrawn(&self, id: &str) -> bool {
        self.ring.look().is_withdrawn(id)
    }

    /// A refresh token of a family; `None` when its key is gone. The same each time, so the successor of a token can be
    /// answered again although nobody stores it.
    pub(crate) fn derive_refresh(&self, id: &str, family: &FamilyLocator, sequence: u32) -> Option<String> {
        let token = RefreshToken {
            family: *family,
            sequence,
            secret: *self.ring.look().find(id)?.refresh_secret(family, sequence),
        };
        Some(token.encode())
    }

    /// Whether a refresh token was derived with one of the keys: whoever made one up needs no look at the index.
    pub(crate) fn derived(&self, token: &RefreshToken) -> bool {
        let derives = |key: &Arc<OpaqueKey>| {
            let secret = key.refresh_secret(&token.family, token.sequence);
            verify_slices_are_equal(secret.as_slice(), &token.secret).is_ok()
        };
        // The newest first: it is the most likely one.
        self.ring.look().iter().rev().any(derives)
    }
}

impl fmt::Debug for OpaqueKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ring.fmt(f)
    }
}

fn read(file: &KeyFile) -> Result<OpaqueKey, KeyFileError> {
    if file.name.len() > MAX_ID_BYTES {
        return Err(KeyFileError::new(
            &file.path,
            format!("the name must be at most {MAX_ID_BYTES} bytes"),
        ));
    }
    let bytes = key_bytes(&file.content).map_err(|problem| KeyFileError::new(&file.path, problem))?;
    Ok(OpaqueKey::new(&file.name, &bytes))
}

fn secret(key: &Key, domain: &[u8], readable: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut context = Context::with_key(key);
    context.update(domain);
    context.update(readable);
    let tag = context.sign();
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(tag.as_ref());
    secret
}

fn key_bytes(content: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = content.trim_ascii();
    // Long enough, but a key of another kind, and perhaps one that others have.
    if text.starts_with(b"-----BEGIN ") {
        return Err("holds PEM, which is for --signing-key; `tokenbind keys generate --kind opaque` makes a key");
    }
    let is_text = text
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(byte));
    let bytes = if is_text {
        let decoded = GeneralPurpose::new(&URL_SAFE, CONFIG).decode(text);
        Zeroizing::new(decoded.map_err(|_| "must be base64url of at least 32 bytes, or as many raw bytes")?)
    } else {
        // Raw: white space at the ends may be part of the key.
        Zeroizing::new(content.to_vec())
    };
    if bytes.len() < LEAST_KEY_BYTES {
        Err("must hold at least 32 bytes (256 bits)")
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokenbind_index::{Nonce, Slot, Subject};

    use super::*;

    fn locator(nonce: u8) -> Locator {
        let home = Subject::User("alice".to_owned()).home();
        Locator {
            home,
            slot: Slot([7; 16]),
            nonce: Nonce([nonce; 16]),
        }
    }

    #[test]
    fn a_token_is_derived_again_with_the_key_of_its_record() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("2026-01"), [0xff; 32]).unwrap();
        let old = OpaqueKeys::load(folder.path()).unwrap();
        let (id, first) = old.derive(locator(1)).unwrap();
        assert_eq!(&*id, "2026-01");

        fs::write(folder.path().join("2026-02"), format!("{}\n", "A".repeat(43))).unwrap();
        let rotated = OpaqueKeys::load(folder.path()).unwrap();
        let (id, second) = rotated.derive(locator(1)).unwrap();
        assert_eq!(&*id, "2026-02");
        assert_ne!(first, second);
        assert_eq!(rotated.derive_again("2026-01", locator(1)), Some(first));
        assert_eq!(old.derive_again("2026-02", locator(1)), None);
        assert_ne!(rotated.derive(locator(2)).unwrap().1, second);
    }

    #[test]
    fn a_weak_or_broken_key_is_refused_by_the_name_of_its_file() {
        for content in [&b""[..], b"short", &[0xff; 31], "A".repeat(42).as_bytes(), b"=A=="] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("bad"), content).unwrap();
            let error = OpaqueKeys::load(folder.path()).unwrap_err();
            assert!(error.path.ends_with("bad"), "{error}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(
            OpaqueKeys::load(empty.path())
                .unwrap_err()
                .to_string()
                .contains("1 to 64 key files")
        );
    }

    #[test]
    fn debug_shows_ids_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key-a"), "QUJD".repeat(11)).unwrap();
        assert_eq!(format!("{:?}", OpaqueKeys::load(folder.path()).unwrap()), "[\"key-a\"]");
    }
}
