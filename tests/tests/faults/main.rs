//! What is promised while the store, the links and the services themselves fail, under load.
//!
//! Each test runs several issuers and validators over a store of one kind, does one thing after another to them, and judges
//! all calls by the written history (`tokenbind_tests::history`). A schedule follows from a seed, which a failed run tells:
//!
//! ```sh
//! TOKENBIND_TEST_SEED=7 TOKENBIND_TEST_FAULTS=60 cargo test -p tokenbind-tests --test faults -- --nocapture
//! ```

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it fails")]

mod cluster;
mod load;
mod pair;
mod plagues;
mod plan;
mod report;
mod rig;
mod run;
mod secured;
mod sentinel;
mod standalone;
