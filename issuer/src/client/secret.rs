//! A generated secret (RFC 6749, section 2.3.1).

use std::hint::black_box;

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::SecretHash;
use tokenbind_proto::index::v1::SecretDigest;

/// What is compared where there is no application or no live secret: as much work, and no secret has this digest.
const NOBODYS_DIGEST: [u8; 32] = [0; 32];

/// Compares with every secret, live or not, so that the time tells nothing of which of them matched.
pub(super) fn proves(presented: &SecretString, secrets: &[SecretDigest], now: u64) -> bool {
    let presented = SecretHash::of(presented.expose_secret());
    // The result is thrown away: nobody has this digest, so nothing may prove that somebody does.
    black_box(presented.matches(&NOBODYS_DIGEST));
    let mut proven = false;
    for secret in secrets {
        let live = secret.expires_at == 0 || u64::try_from(secret.expires_at).is_ok_and(|end| end > now);
        proven |= presented.matches(&secret.sha256) & live;
    }
    proven
}
