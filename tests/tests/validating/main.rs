//! V1–V9 and V11–V14 of the rules: what a resource is told about a token. V4 is not here: no issuer of ours leaves out the
//! `client_id`, so only the validator's own tests can make such a token.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod batch;
mod bindings;
mod callers;
mod fixture;
mod forged;
mod freshness;
mod introspection;
mod rules;
mod signed;
