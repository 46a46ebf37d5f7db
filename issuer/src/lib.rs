//! The issuer: authenticates applications, issues tokens into their slots and revokes them.
//!
//! Data flows one way: [`run`] → [`transport`] → a use case (a module here) → `tokenbind_index`. A use case knows neither
//! tonic nor Redis; what it answers is a domain type or an [`IssuerError`].

pub mod admin;
pub mod admin_access;
pub mod application;
pub mod applications;
pub mod args;
pub mod audit;
pub mod bindings;
pub mod catalog;
pub mod claims;
pub mod client;
pub mod context;
pub mod declared;
pub mod directory;
pub mod error;
mod fair_queue;
pub mod grant;
pub mod issue;
pub mod keys;
mod live_token;
pub mod opaque;
pub mod password;
pub mod revoke;
#[cfg(test)]
mod rules;
pub mod run;
pub mod signing;
pub mod telemetry;
#[cfg(test)]
mod test_support;
pub mod throttle;
pub mod transport;
pub mod trust;

pub use context::Issuer;
pub use error::IssuerError;
pub use keys::KeyFileError;
