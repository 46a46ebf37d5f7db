//! C12: guesses at secrets and passwords are held up, over all issuers, and nobody else is.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod fair;
mod guesses;
mod issuers;
mod trail;
