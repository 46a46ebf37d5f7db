//! What a resource may be.

use tokenbind_proto::v1::{BindingType, Resource};

use super::authentication::check_certificate_name;
use super::binding_type;
use super::text::{audience_problem, client_id_problem, resource_id_problem, scope_problem};
use crate::admin_access::ADMIN_AUDIENCE;
use crate::error::FieldViolations;

/// The longest that a resource may accept JWTs without hearing of the index, in seconds: a revocation can go unnoticed for as
/// long.
const MAX_ALLOW_STALE_SECONDS: u32 = 300;

/// Checks all of a resource but its `source`.
pub fn check_resource(resource: &Resource) -> FieldViolations {
    let mut violations = FieldViolations::new();
    violations.problem("resource_id", resource_id_problem(&resource.resource_id));
    violations.set("audiences", &resource.audiences, 16, audience_problem);
    check_admin_audience(resource, &mut violations);
    violations.set(
        "accepted_client_ids",
        &resource.accepted_client_ids,
        1_000,
        client_id_problem,
    );
    violations.set("accepted_scopes", &resource.accepted_scopes, 64, scope_problem);
    check_binding(resource, &mut violations);
    if let Some(certificate) = &resource.caller_certificate {
        check_certificate_name("caller_certificate", certificate, &mut violations);
    }
    violations.require(
        resource.allow_stale_seconds <= MAX_ALLOW_STALE_SECONDS,
        "allow_stale_seconds",
        &format!("must be at most {MAX_ALLOW_STALE_SECONDS}"),
    );
    violations
}

/// Tokens for the issuer itself are not meant to be shown to anybody else: a resource of that audience would collect them.
fn check_admin_audience(resource: &Resource, violations: &mut FieldViolations) {
    let reserved = "is the audience of the issuer itself";
    if resource.audiences.is_empty() {
        violations.require(resource.resource_id != ADMIN_AUDIENCE, "resource_id", reserved);
    }
    if let Some(index) = resource
        .audiences
        .iter()
        .position(|audience| audience == ADMIN_AUDIENCE)
    {
        violations.push(format!("audiences[{index}]"), reserved);
    }
}

fn check_binding(resource: &Resource, violations: &mut FieldViolations) {
    let accepted = &resource.accepted_binding_types;
    for (index, number) in accepted.iter().enumerate() {
        let field = format!("accepted_binding_types[{index}]");
        if *number == BindingType::Unspecified as i32 {
            violations.push(&field, "must be none, client-request or certificate");
        }
        violations.problem(&field, binding_type::problem(*number));
        if let Some(first) = accepted[..index].iter().position(|earlier| earlier == number) {
            violations.push(field, format!("is the same as accepted_binding_types[{first}]"));
            // Every further one is a repetition too, and there may be many.
            break;
        }
    }
    let only_unbound = !accepted.is_empty() && !accepted.iter().any(|number| binding_type::binds(*number));
    violations.require(
        !(resource.enforce_binding && only_unbound),
        "enforce_binding",
        "needs `accepted_binding_types` with one that binds: without one it would do nothing",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn violates(change: impl FnOnce(&mut Resource), fields: &[&str]) {
        let mut resource = Resource {
            resource_id: "orders".into(),
            accepted_client_ids: vec!["shop".into()],
            ..Resource::default()
        };
        change(&mut resource);
        let violations = check_resource(&resource);
        let found: Vec<_> = violations.as_slice().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(found, fields);
    }

    #[test]
    fn identity_and_audiences() {
        violates(|_| {}, &[]);
        violates(|it| it.resource_id.clear(), &["resource_id"]);
        violates(
            |it| it.audiences = vec!["a".into(), "a".into(), String::new()],
            &["audiences[1]", "audiences[2]"],
        );
        violates(
            |it| it.audiences = (0..17).map(|n| n.to_string()).collect(),
            &["audiences"],
        );
    }

    #[test]
    fn no_resource_takes_the_tokens_of_administrators() {
        violates(|it| it.resource_id = ADMIN_AUDIENCE.into(), &["resource_id"]);
        violates(
            |it| it.audiences = vec!["orders".into(), ADMIN_AUDIENCE.into()],
            &["audiences[1]"],
        );
    }

    #[test]
    fn accepted_applications_and_scopes() {
        violates(
            |it| it.accepted_client_ids.push("user:alice".into()),
            &["accepted_client_ids[1]"],
        );
        violates(
            |it| it.accepted_client_ids.push("shop".into()),
            &["accepted_client_ids[1]"],
        );
        violates(
            |it| it.accepted_client_ids = (0..1_001).map(|n| n.to_string()).collect(),
            &["accepted_client_ids"],
        );
        violates(|it| it.accepted_scopes = vec!["a b".into()], &["accepted_scopes[0]"]);
    }

    #[test]
    fn staleness() {
        violates(|it| it.allow_stale_seconds = 300, &[]);
        violates(|it| it.allow_stale_seconds = 301, &["allow_stale_seconds"]);
    }

    #[test]
    fn binding() {
        violates(|it| it.accepted_binding_types = vec![1, 2, 3], &[]);
        violates(|it| it.accepted_binding_types = vec![0], &["accepted_binding_types[0]"]);
        violates(|it| it.accepted_binding_types = vec![4], &["accepted_binding_types[0]"]);
        violates(
            |it| it.accepted_binding_types = vec![99],
            &["accepted_binding_types[0]"],
        );
        violates(
            |it| it.accepted_binding_types = vec![2, 2],
            &["accepted_binding_types[1]"],
        );
        violates(
            |it| {
                it.accepted_binding_types = vec![1];
                it.enforce_binding = true;
            },
            &["enforce_binding"],
        );
    }
}
