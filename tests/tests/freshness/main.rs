//! What validators keep, while it changes and while Redis fails: nobody is allowed on facts that are older than the answer
//! says, or than the lease allows, and everything comes back by itself.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]
#![expect(clippy::print_stderr, reason = "a race says how close it was")]

mod consistency;
mod failures;
mod garbage;
mod race;
mod rig;
mod seen;
mod truth;
