//! The limits of the fields of requests, as the `.proto` files state them.

use tokenbind_index::{BindingId, EXTERNAL_PREFIX};

use crate::declared::client_id_problem;
use crate::error::FieldViolations;

/// The longest `sub`: that of a trusted issuer's subject, with the longest name of an issuer.
const MAX_SUBJECT_BYTES: usize = EXTERNAL_PREFIX.len() + 32 + 1 + 255;
const MAX_SCOPES: usize = 64;
const MAX_AUDIENCES: usize = 16;

/// A length in bytes, both ends included.
pub(super) fn length(violations: &mut FieldViolations, field: &str, value: &str, least: usize, most: usize) {
    if (least..=most).contains(&value.len()) {
        return;
    }
    let description = match least {
        0 => format!("must be at most {most} bytes"),
        _ if value.is_empty() => format!("is required, {least} to {most} bytes"),
        _ => format!("must be {least} to {most} bytes"),
    };
    violations.push(field, description);
}

/// A `client_id`, where one must be.
pub(super) fn client_id(violations: &mut FieldViolations, field: &str, value: &str) {
    if let Some(problem) = client_id_problem(value) {
        violations.push(field, problem);
    }
}

/// A `client_id`, or nothing.
pub(super) fn optional_client_id(violations: &mut FieldViolations, field: &str, value: &str) {
    if !value.is_empty() {
        client_id(violations, field, value);
    }
}

/// The `sub` of a token.
pub(super) fn subject(violations: &mut FieldViolations, value: &str) {
    length(violations, "subject", value, 1, MAX_SUBJECT_BYTES);
}

/// Scopes that are asked (RFC 6749, section 3.3).
pub(super) fn scopes(violations: &mut FieldViolations, scopes: &[String]) {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    let fits = |scope: &str| (1..=128).contains(&scope.len()) && scope.bytes().all(allowed);
    let problem = "must be 1 to 128 bytes of printable ASCII without space, `\"` and `\\`";
    list(violations, "scopes", scopes, MAX_SCOPES, fits, problem);
}

/// Audiences that are asked.
pub(super) fn audiences(violations: &mut FieldViolations, audiences: &[String]) {
    let fits = |audience: &str| (1..=255).contains(&audience.len());
    list(
        violations,
        "audiences",
        audiences,
        MAX_AUDIENCES,
        fits,
        "must be 1 to 255 bytes",
    );
}

fn list(
    violations: &mut FieldViolations,
    field: &str,
    members: &[String],
    most: usize,
    fits: impl Fn(&str) -> bool,
    problem: &str,
) {
    if members.len() > most {
        // The members stay unread: a list that is too long could yield as many violations.
        violations.push(field, format!("must have at most {most} members"));
        return;
    }
    for (index, member) in members.iter().enumerate() {
        if !fits(member) {
            violations.push(format!("{field}[{index}]"), problem);
        }
    }
}

/// S11. A limit is a limit, also where the application ignores the id.
pub(super) fn binding_id(violations: &mut FieldViolations, value: &str) -> Option<BindingId> {
    match BindingId::parse(value) {
        Ok(id) => id,
        Err(error) => {
            violations.push("token_binding_id", error.to_string());
            None
        }
    }
}
