//! The claims that an application maps.

use std::collections::HashSet;

use tokenbind_proto::v1::ClaimMapping;
use tokenbind_proto::v1::claim_mapping::Value;

use super::text::short_name_problem;
use crate::error::FieldViolations;

const MAX_CLAIMS: usize = 32;
const MAX_VALUE_BYTES: usize = 1_024;

/// What the issuer or the validator says itself: a mapped claim of that name would forge it. With the claims of tokens
/// (RFC 7519, RFC 8693, RFC 9068) also the members of an introspection answer (RFC 7662).
const RESERVED: [&str; 19] = [
    "act",
    "active",
    "aud",
    "aut",
    "azp",
    "binding_ref",
    "binding_type",
    "client_id",
    "cnf",
    "exp",
    "iat",
    "iss",
    "jti",
    "may_act",
    "nbf",
    "scope",
    "sub",
    "token_type",
    "username",
];

/// Checks the field `claims`.
pub(super) fn check(claims: &[ClaimMapping], violations: &mut FieldViolations) {
    if claims.len() > MAX_CLAIMS {
        violations.push("claims", format!("must have at most {MAX_CLAIMS} members"));
        return;
    }
    let mut names = HashSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let name = format!("claims[{index}].name");
        violations.problem(&name, short_name_problem(&claim.name));
        violations.require(
            !RESERVED.contains(&claim.name.as_str()),
            &name,
            "is reserved: only the issuer says what stands there",
        );
        violations.require(names.insert(&claim.name), &name, "is mapped already");
        match &claim.value {
            None => violations.push(
                format!("claims[{index}]"),
                "must have a `static_value` or a `user_attribute`",
            ),
            Some(Value::StaticValue(text)) => violations.require(
                text.len() <= MAX_VALUE_BYTES,
                &format!("claims[{index}].static_value"),
                "must be at most 1024 bytes",
            ),
            Some(Value::UserAttribute(attribute)) => {
                violations.problem(
                    &format!("claims[{index}].user_attribute"),
                    short_name_problem(attribute),
                );
            }
        }
    }
}
