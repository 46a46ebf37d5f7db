//! The services over every Redis that operators run, and what becomes of a token when that Redis fails over.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod access;
mod cluster;
mod readiness;
mod sentinel;
mod servers;
mod slice;
mod standalone;
mod tls;
