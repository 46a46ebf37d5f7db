//! The keys that sign JWTs.

mod jwk;
mod key;
mod pem;
mod ring;
#[cfg(test)]
mod tests;

pub use key::{SignError, SigningKey};
pub(crate) use ring::generate;
pub use ring::{KeyRing, Keys, generate_pem};
