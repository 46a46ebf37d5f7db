//! What happens when Redis, an issuer or a call fails: nothing half done, nothing said that is not so, and everything back by
//! itself.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod fixture;
mod issuer_gone;
mod redis_frozen;
mod redis_gone;
mod redis_late;
mod stale;
mod stopping;
