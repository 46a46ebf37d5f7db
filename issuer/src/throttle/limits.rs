//! Every number of the throttle, in one place. `docs/operations.md` tells operators what they mean.

use tokenbind_index::{AttemptKind, AttemptLimit};

/// How the failures of a kind count.
pub(super) const fn limit(kind: AttemptKind) -> AttemptLimit {
    match kind {
        // Secrets are generated and cannot be guessed, so this is for whoever does not notice that theirs is wrong.
        AttemptKind::SecretFromPeer => AttemptLimit {
            free: 20,
            forgive_ms: 60_000,
            first_ms: 1_000,
            most_ms: 60_000,
        },
        // A person mistypes; a program that goes on gets to about one guess a minute.
        AttemptKind::PasswordFromPeer => AttemptLimit {
            free: 10,
            forgive_ms: 120_000,
            first_ms: 1_000,
            most_ms: 60_000,
        },
        // From anywhere: short delays, because they also hold up the user.
        AttemptKind::Password => AttemptLimit {
            free: 100,
            forgive_ms: 10_000,
            first_ms: 1_000,
            most_ms: 5_000,
        },
        // One password tried with many users. An application with many users sees many of them mistype.
        AttemptKind::Application => AttemptLimit {
            free: 1_000,
            forgive_ms: 100,
            first_ms: 1_000,
            most_ms: 5_000,
        },
        // The same from one address, which may be a proxy with many callers behind it.
        AttemptKind::Peer => AttemptLimit {
            free: 300,
            forgive_ms: 500,
            first_ms: 1_000,
            most_ms: 5_000,
        },
    }
}

/// How many addresses that may not guess on are remembered here, and how many that are known to succeed.
pub(super) const REMEMBERED: usize = 65_536;
/// For how long an address counts as known after a success.
pub(super) const KNOWN_US: u64 = 24 * 3_600 * 1_000_000;
/// Guesses at a user's password are verified one at a time, users apart as far as this many lanes allow.
pub(super) const LANES: usize = 1_024;
