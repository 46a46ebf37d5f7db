//! Passwords and their hashes.

use argon2::{ARGON2ID_IDENT, Params, PasswordHash, Version};

/// The least memory of a hash, in KiB, of those that OWASP recommends.
const LEAST_MEMORY_KIB: u32 = 7_168;
/// The least work, in KiB of memory times passes over it: that of the least that OWASP recommends (m=7168, t=5).
const LEAST_WORK_KIB: u64 = 35_840;
/// Whoever may write a hash may not, with one of many gigabytes, stop the issuer that verifies it.
const MOST_MEMORY_KIB: u32 = 262_144;
const MOST_WORK_KIB: u64 = 1_048_576;
const MOST_LANES: u32 = 16;

/// What is wrong with a new password, if anything.
pub fn check_password(password: &str) -> Option<&'static str> {
    (!(8..=1_024).contains(&password.len())).then_some("must be 8 to 1024 bytes")
}

/// What is wrong with a hash that somebody else made, if anything: too weak, too slow, or no argon2id.
pub fn check_password_hash(phc: &str) -> Option<&'static str> {
    let Ok(hash) = PasswordHash::new(phc) else {
        return Some("must be a PHC string of argon2id; `tokenbind user hash-password` makes one");
    };
    if hash.algorithm != ARGON2ID_IDENT || hash.version != Some(Version::V0x13.into()) {
        return Some("must be argon2id, version 19");
    }
    let Ok(params) = Params::try_from(&hash) else {
        return Some("has parameters that argon2id does not have");
    };
    let long_enough =
        hash.salt.is_some_and(|salt| salt.len() >= 8) && hash.hash.is_some_and(|output| output.len() >= 16);
    if !long_enough {
        return Some("must have a salt of at least 8 bytes and a hash of at least 16");
    }
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() < LEAST_MEMORY_KIB || work < LEAST_WORK_KIB {
        return Some("is too weak: m must be at least 7168 and m times t at least 35840, such as m=19456,t=2,p=1");
    }
    if params.m_cost() > MOST_MEMORY_KIB || work > MOST_WORK_KIB || params.p_cost() > MOST_LANES {
        return Some("costs too much: m must be at most 262144, m times t at most 1048576, and p at most 16");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "$c2FsdHNhbHRzYWx0$bm90IGEgcmVhbCBoYXNoIGJ1dCAzMiBieXRlcyE";

    fn hash(head: &str) -> String {
        format!("{head}{TAIL}")
    }

    #[test]
    fn what_owasp_recommends_is_fine() {
        for parameters in [
            "m=47104,t=1,p=1",
            "m=19456,t=2,p=1",
            "m=12288,t=3,p=1",
            "m=9216,t=4,p=1",
            "m=7168,t=5,p=1",
        ] {
            assert_eq!(
                check_password_hash(&hash(&format!("$argon2id$v=19${parameters}"))),
                None,
                "{parameters}"
            );
        }
    }

    #[test]
    fn weaker_and_dearer_are_refused() {
        for parameters in ["m=7168,t=4,p=1", "m=4096,t=20,p=1", "m=19456,t=1,p=1"] {
            let problem = check_password_hash(&hash(&format!("$argon2id$v=19${parameters}")));
            assert!(problem.is_some_and(|text| text.contains("too weak")), "{parameters}");
        }
        for parameters in ["m=4000000,t=1,p=1", "m=65536,t=1000,p=1", "m=65536,t=3,p=17"] {
            let problem = check_password_hash(&hash(&format!("$argon2id$v=19${parameters}")));
            assert!(problem.is_some_and(|text| text.contains("too much")), "{parameters}");
        }
    }

    #[test]
    fn anything_but_argon2id_is_refused() {
        let others = [
            "",
            "hunter2hunter2",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=19456,t=2,p=1",
        ];
        for phc in others {
            assert!(check_password_hash(phc).is_some(), "{phc}");
        }
        for head in [
            "$argon2i$v=19$m=19456,t=2,p=1",
            "$argon2id$v=16$m=19456,t=2,p=1",
            "$argon2id$m=19456,t=2,p=1",
        ] {
            assert!(check_password_hash(&hash(head)).is_some(), "{head}");
        }
        assert!(check_password_hash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c2hvcnQ").is_some());
    }

    #[test]
    fn passwords_have_8_to_1024_bytes() {
        for (length, fine) in [(7, false), (8, true), (1_024, true), (1_025, false)] {
            assert_eq!(check_password(&"x".repeat(length)).is_none(), fine, "{length}");
        }
    }
}
