//! What a user may be.

use tokenbind_proto::v1::User;

use super::text::{scope_problem, short_name_problem, username_problem};
use crate::error::FieldViolations;

const MAX_ATTRIBUTES: usize = 32;
const MAX_VALUE_BYTES: usize = 1_024;

/// Checks all of a user but its `source`.
pub fn check_user(user: &User) -> FieldViolations {
    let mut violations = FieldViolations::new();
    violations.problem("username", username_problem(&user.username));
    check_attributes(user, &mut violations);
    violations.set("scopes", &user.scopes, 64, scope_problem);
    violations
}

fn check_attributes(user: &User, violations: &mut FieldViolations) {
    if user.attributes.len() > MAX_ATTRIBUTES {
        violations.push("attributes", format!("must have at most {MAX_ATTRIBUTES} members"));
        return;
    }
    for (name, value) in &user.attributes {
        if let Some(problem) = short_name_problem(name) {
            // Without the name: it may be as long as a message.
            violations.push("attributes", format!("a name {problem}"));
            continue;
        }
        let fits = value.len() <= MAX_VALUE_BYTES;
        violations.require(fits, &format!("attributes[{name:?}]"), "must be at most 1024 bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn violates(change: impl FnOnce(&mut User), fields: &[&str]) {
        let mut user = User {
            username: "alice".into(),
            ..User::default()
        };
        change(&mut user);
        let violations = check_user(&user);
        let found: Vec<_> = violations.as_slice().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(found, fields);
    }

    #[test]
    fn username() {
        violates(|_| {}, &[]);
        violates(|it| it.username.clear(), &["username"]);
        violates(|it| it.username = "a\nb".into(), &["username"]);
        violates(|it| it.username = "é".repeat(128), &["username"]);
    }

    #[test]
    fn attributes() {
        let many = |count: usize| (0..count).map(|n| (format!("a{n}"), String::new())).collect();
        violates(|it| it.attributes = many(32), &[]);
        violates(|it| it.attributes = many(33), &["attributes"]);
        violates(
            |it| it.attributes = [(String::new(), String::new())].into(),
            &["attributes"],
        );
        violates(
            |it| it.attributes = [("a".into(), "x".repeat(1_025))].into(),
            &["attributes[\"a\"]"],
        );
    }

    #[test]
    fn scopes() {
        violates(
            |it| it.scopes = vec!["a".into(), "a".into(), " ".into()],
            &["scopes[1]", "scopes[2]"],
        );
    }
}
