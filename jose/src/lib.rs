//! Reads and verifies signed JWTs, strictly: what the issuer does with those of others, and the validator with its own.
//!
//! Nothing here decides whom to trust. A token never chooses how it is verified: of its header only `alg`, `typ`, `kid` and
//! `crit` are looked at, and `alg` must be that of the key.

mod act;
mod algorithm;
mod claims;
mod compact;
mod json;
mod jwk;

pub use act::Act;
pub use algorithm::Algorithm;
pub use claims::{Audience, NumericDate, present};
pub use compact::{CompactJws, MAX_KID_BYTES};
pub use json::Members;
pub use jwk::{BadKey, PublicKey, PublicKeySet};
