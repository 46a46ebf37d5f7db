//! Every script, in one place: each is one atomic step of the store. What each does, with its `KEYS` and `ARGV`, stands in its
//! file; files that others build on come before them.
//!
//! User data comes in as `KEYS` and `ARGV` alone. The keys that a script touches beyond `KEYS` (the records of a subject,
//! whose slots only the subject's list knows) share the hash tag of `KEYS[1]`. Times are the store's: Redis runs a script at
//! one frozen instant. Scripts that revoke are flagged `allow-oom`: revoking works when the store is full (R7). So is changing a
//! document that is there, because that is how users and applications are disabled and passwords and secrets replaced.
//!
//! Offsets in an encoded `TokenRecord`, as Lua counts (from 1): its first three fields have a fixed length and always
//! stand first. A member of a list is slot (1–16), application tag (17–21) and binding tag (22–29).
//!
//! ```text
//! 1      tag of `revision`     2–9    its bytes, little-endian
//! 10     tag of `generation`   11–14  its bytes, little-endian
//! 15–16  tag and length of `digest`   17–48 its bytes
//! 49–    tag of `lifetime_ms`, and its bytes, at most 5
//! ```

use redis::Script;

/// A script of the parts that it is made of.
macro_rules! script {
    ($flags:literal, $($file:literal),+) => {
        Script::new(concat!("#!lua flags=", $flags, "\n", $(include_str!(concat!("scripts/", $file, ".lua"))),+))
    };
}

/// The scripts, hashed once.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) issue: Script,
    pub(super) revoke_token: Script,
    pub(super) revoke_subject: Script,
    pub(super) list: Script,
    pub(super) begin_family: Script,
    pub(super) refresh: Script,
    pub(super) end_family: Script,
    pub(super) mark: Script,
    pub(super) put_document: Script,
    pub(super) change_document: Script,
    pub(super) delete_document: Script,
    pub(super) raise_generation: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            issue: script!("", "ends", "slot", "issue"),
            revoke_token: script!("allow-oom", "words", "ends", "revoke_token"),
            revoke_subject: script!("allow-oom", "words", "members", "revoke_subject"),
            list: script!("no-writes", "words", "members", "list"),
            begin_family: script!("", "words", "ends", "slot", "families", "begin_family"),
            refresh: script!("", "words", "ends", "slot", "families", "refresh"),
            end_family: script!("allow-oom", "words", "ends", "slot", "families", "end_family"),
            mark: script!("allow-oom", "words", "mark"),
            put_document: script!("", "words", "documents", "put_document"),
            change_document: script!("allow-oom", "words", "documents", "put_document"),
            delete_document: script!("allow-oom", "words", "documents", "delete_document"),
            raise_generation: script!("allow-oom", "words", "documents", "raise_generation"),
        }
    }

    pub(super) fn all(&self) -> [&Script; 12] {
        [
            &self.issue,
            &self.revoke_token,
            &self.revoke_subject,
            &self.list,
            &self.begin_family,
            &self.refresh,
            &self.end_family,
            &self.mark,
            &self.put_document,
            &self.change_document,
            &self.delete_document,
            &self.raise_generation,
        ]
    }
}
