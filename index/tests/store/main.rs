//! One suite for every store, and random operations that must give the same answers on all of them.

#![expect(clippy::expect_used, clippy::panic, reason = "a test stops where it fails")]

mod attempts;
mod contract;
mod documents;
mod families;
mod faults;
mod full;
mod harness;
mod lanes;
mod model;
mod model_families;
mod moving;
mod samples;
mod single_use;
mod topologies;
mod tracking;
