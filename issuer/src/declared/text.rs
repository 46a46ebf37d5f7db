//! What names may look like. Each function answers what is wrong with a name, if anything.

use tokenbind_index::{EXTERNAL_PREFIX, USER_PREFIX};

const MAX_ID_BYTES: usize = 255;

/// A `client_id`: the characters of RFC 6749, appendix A.1, and not to be taken for the `sub` of a user.
pub fn client_id_problem(id: &str) -> Option<&'static str> {
    if id.starts_with(USER_PREFIX) {
        return Some("must not begin with `user:`, which marks the subject of a user");
    }
    if id.starts_with(EXTERNAL_PREFIX) {
        return Some("must not begin with `ext:`, which marks the subject of a trusted issuer");
    }
    printable_problem(id)
}

/// A `resource_id`.
pub fn resource_id_problem(id: &str) -> Option<&'static str> {
    printable_problem(id)
}

fn printable_problem(id: &str) -> Option<&'static str> {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let fits = (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(printable);
    (!fits).then_some("must be 1 to 255 bytes of printable ASCII")
}

/// A username: any script, but nothing that could forge a line of a log.
pub fn username_problem(name: &str) -> Option<&'static str> {
    let fits = (1..=MAX_ID_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    (!fits).then_some("must be 1 to 255 bytes without control characters")
}

/// An audience.
pub(crate) fn audience_problem(audience: &str) -> Option<&'static str> {
    username_problem(audience)
}

/// A scope: a scope-token of RFC 6749, section 3.3.
pub(crate) fn scope_problem(scope: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    let fits = (1..=128).contains(&scope.len()) && scope.bytes().all(allowed);
    (!fits).then_some("must be 1 to 128 bytes of printable ASCII without space, `\"` and `\\`")
}

/// The name of a claim or of an attribute.
pub(super) fn short_name_problem(name: &str) -> Option<&'static str> {
    let fits = (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
    (!fits).then_some("must be 1 to 64 bytes without control characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_bytes() {
        assert!(username_problem(&"é".repeat(127)).is_none());
        assert!(username_problem(&"é".repeat(128)).is_some());
        assert!(client_id_problem(&"a".repeat(255)).is_none());
        assert!(client_id_problem(&"a".repeat(256)).is_some());
        assert!(scope_problem(&"a".repeat(128)).is_none());
        assert!(scope_problem(&"a".repeat(129)).is_some());
        assert!(short_name_problem(&"a".repeat(64)).is_none());
        assert!(short_name_problem(&"a".repeat(65)).is_some());
    }

    #[test]
    fn nothing_is_no_name() {
        for problem in [
            client_id_problem,
            resource_id_problem,
            username_problem,
            audience_problem,
            scope_problem,
        ] {
            assert!(problem("").is_some());
        }
    }

    #[test]
    fn c44_a_client_id_is_never_the_subject_of_a_user() {
        assert!(client_id_problem("user:alice").is_some());
        assert!(client_id_problem("ext:cluster:cart").is_some());
        assert!(client_id_problem("users").is_none() && client_id_problem("external").is_none());
    }

    #[test]
    fn a_scope_has_the_charset_of_rfc_6749_section_3_3() {
        for bad in ["a b", "a\"b", "a\\b", "é", "a\n"] {
            assert!(scope_problem(bad).is_some(), "{bad:?}");
        }
        assert!(scope_problem("https://api.example/orders.read!").is_none());
    }
}
