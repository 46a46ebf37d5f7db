//! Calls to the issuer and the validator.

mod args;
mod authorization;
mod channel;
mod session;

pub(crate) use args::ClientArgs;
pub(crate) use authorization::{Authorization, Outgoing};
pub(crate) use channel::Link;
pub(crate) use session::Session;

/// The scope that administration needs.
pub(crate) const ADMIN_SCOPE: &str = "tokenbind.admin";
