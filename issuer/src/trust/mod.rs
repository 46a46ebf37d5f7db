//! What the issuer accepts of others: the issuers that it trusts, and who may exchange what.
//!
//! All of it stands in the catalog file and in no store: whoever can write into the index cannot make the issuer trust anybody.

mod current;
mod declared;
mod fetch;
mod intake;
mod jwks;
mod policy;
mod registry;
#[cfg(test)]
mod tests;

pub use current::CurrentTrust;
pub use declared::{ExchangePolicy, IssuerKeys, Party, TrustDeclaration, TrustedIssuer};
pub(crate) use declared::{keys_uri_problem, read_certificates};
pub(crate) use intake::{Assertion, Purpose, Refusal, claimed_subject};
pub(crate) use policy::PartyRef;
pub use registry::{Trust, TrustError};
