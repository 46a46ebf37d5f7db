//! R1–R5, R7 and R8 of the rules: what dies, and what does not.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod application;
mod binding;
mod fixture;
mod full_store;
mod list;
mod many;
mod subject;
mod token;
