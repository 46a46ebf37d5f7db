//! What operators change while the services run, and what they are told.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod audit;
mod catalog;
mod clock;
mod rotating;
mod withdrawing;
