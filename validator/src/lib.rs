//! The validator: is this token live, was it issued to the application that presents it, and is it used under its binding?
//!
//! [`Validator`] is the product; a service embeds it as an [`InProcessValidator`]; the binary and the gRPC service are a thin shell around it.
//! A call goes one way: [`transport`] turns a message into a [`Question`], [`caller`] says who asks, [`facts`] finds out
//! what is known of the token, [`liveness`] and [`policy`] judge, and a [`Verdict`] goes back. Only facts may ever be kept
//! from one call to the next, never a verdict (V13).
//!
//! A validator only reads: it needs no issuer to be up, and holds no secret.

pub mod args;
pub mod caller;
mod connect;
mod engine;
pub mod facts;
mod in_process;
mod introspect;
mod layer;
pub mod liveness;
pub mod observe;
pub mod policy;
mod question;
mod remembered;
mod resource;
pub mod run;
#[cfg(test)]
mod tests;
pub mod transport;
mod verdict;
mod watch;

pub use engine::{Unavailable, Validator};
pub use in_process::{GuardedRequest, InProcessError, InProcessOptions, InProcessValidator};
pub use layer::{TokenGuarded, TokenLayer};
pub use question::{Consistency, Presented, Presenter, Question};
pub use resource::Resource;
pub use run::{ValidatorSetup, serve};
pub use verdict::{Freshness, Verdict, decision};
pub use watch::{OpenCalls, OpenLimits};
