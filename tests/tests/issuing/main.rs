//! S1–S12, S15–S17 of the rules: what a caller gets, and what happens to the token that was there.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod binding_ids;
mod fixture;
mod jwt;
mod lifetimes;
mod limits;
mod sets;
mod slots;
mod subjects;
