//! What an application may be.

use tokenbind_proto::v1::{Application, BindingLimitPolicy, BindingType, GrantType, TokenFormat};

use super::text::{audience_problem, client_id_problem, scope_problem};
use super::{authentication, binding_type, claims, refresh_tokens};
use crate::admin_access::{ADMIN_AUDIENCE, ADMIN_SCOPE};
use crate::application::MAX_LIFETIME_SECONDS;
use crate::error::FieldViolations;

const MAX_BINDINGS: u32 = 1_000;
const GRANTS: &str =
    "must be at least one of password, client_credentials, refresh_token, token_exchange and jwt_bearer";

/// Fills in what an unspecified field means, where the record has to say it.
pub fn normalize_application(application: &mut Application) {
    if application.binding_type == BindingType::Unspecified as i32 {
        application.set_binding_type(BindingType::None);
    }
}

/// Checks all of an application but its `source`.
pub fn check_application(application: &Application) -> FieldViolations {
    let mut violations = FieldViolations::new();
    violations.problem("client_id", client_id_problem(&application.client_id));
    violations.require(
        application.display_name.len() <= 255 && !application.display_name.chars().any(char::is_control),
        "display_name",
        "must be at most 255 bytes without control characters",
    );
    check_format(application, &mut violations);
    check_binding(application, &mut violations);
    check_grants(&application.grants, &mut violations);
    authentication::check(application, &mut violations);
    refresh_tokens::check(application, &mut violations);
    check_reach(application, &mut violations);
    check_admin_scope(application, &mut violations);
    claims::check(&application.claims, &mut violations);
    violations
}

fn check_format(application: &Application, violations: &mut FieldViolations) {
    let format = TokenFormat::try_from(application.token_format);
    violations.require(
        matches!(format, Ok(TokenFormat::Jwt | TokenFormat::Opaque)),
        "token_format",
        "must be set: jwt or opaque",
    );
    violations.require(
        application.access_token_lifetime_seconds <= MAX_LIFETIME_SECONDS,
        "access_token_lifetime_seconds",
        "must be 1 to 86400, or 0 for 3600",
    );
}

fn check_binding(application: &Application, violations: &mut FieldViolations) {
    violations.problem("binding_type", binding_type::problem(application.binding_type));
    if !binding_type::binds(application.binding_type) {
        let needless = "needs a `binding_type` that binds: without one it would do nothing";
        violations.require(!application.require_binding, "require_binding", needless);
        violations.require(!application.enforce_binding, "enforce_binding", needless);
        violations.require(
            application.max_bindings_per_subject == 0,
            "max_bindings_per_subject",
            needless,
        );
    }
    violations.require(
        application.max_bindings_per_subject <= MAX_BINDINGS,
        "max_bindings_per_subject",
        "must be 1 to 1000, or 0 for no limit",
    );
    match BindingLimitPolicy::try_from(application.binding_limit_policy) {
        Err(_) => violations.push("binding_limit_policy", "must be reject or evict-oldest"),
        Ok(BindingLimitPolicy::Unspecified) => {}
        Ok(_) => violations.require(
            application.max_bindings_per_subject > 0,
            "binding_limit_policy",
            "needs `max_bindings_per_subject`: without a limit it would do nothing",
        ),
    }
}

fn check_grants(grants: &[i32], violations: &mut FieldViolations) {
    violations.require(!grants.is_empty(), "grants", GRANTS);
    for (index, grant) in grants.iter().enumerate() {
        let field = format!("grants[{index}]");
        let known = GrantType::try_from(*grant).is_ok_and(|known| known != GrantType::Unspecified);
        violations.require(known, &field, GRANTS);
        if let Some(first) = grants[..index].iter().position(|earlier| earlier == grant) {
            violations.push(field, format!("is the same as grants[{first}]"));
            // Every further one is a repetition too, and there may be many.
            return;
        }
    }
}

fn check_reach(application: &Application, violations: &mut FieldViolations) {
    violations.set("scopes", &application.scopes, 64, scope_problem);
    violations.subset(
        "default_scopes",
        &application.default_scopes,
        64,
        "scopes",
        &application.scopes,
    );
    violations.require(
        !application.audiences.is_empty(),
        "audiences",
        "must have 1 to 16 members",
    );
    violations.set("audiences", &application.audiences, 16, audience_problem);
    violations.subset(
        "default_audiences",
        &application.default_audiences,
        16,
        "audiences",
        &application.audiences,
    );
}

/// Whoever holds a token of the admin scope administers everything, so no user's password may lead to one.
fn check_admin_scope(application: &Application, violations: &mut FieldViolations) {
    let Some(index) = application.scopes.iter().position(|scope| scope == ADMIN_SCOPE) else {
        return;
    };
    let field = format!("scopes[{index}]");
    violations.require(
        application.grants == [GrantType::ClientCredentials as i32],
        &field,
        "is the scope of administrators, which needs `grants` to be client_credentials alone",
    );
    violations.require(
        application.audiences.iter().any(|audience| audience == ADMIN_AUDIENCE),
        &field,
        "is the scope of administrators, which needs the audience `tokenbind`",
    );
}

#[cfg(test)]
mod tests {
    use tokenbind_proto::v1::ClaimMapping;
    use tokenbind_proto::v1::claim_mapping::Value;

    use super::*;

    fn good() -> Application {
        Application {
            client_id: "shop".into(),
            token_format: TokenFormat::Jwt.into(),
            binding_type: BindingType::ClientRequest.into(),
            grants: vec![GrantType::Password.into(), GrantType::ClientCredentials.into()],
            scopes: vec!["orders.read".into(), "orders.write".into()],
            audiences: vec!["orders".into()],
            ..Application::default()
        }
    }

    #[track_caller]
    fn violates(change: impl FnOnce(&mut Application), fields: &[&str]) {
        let mut application = good();
        change(&mut application);
        let violations = check_application(&application);
        let found: Vec<_> = violations.as_slice().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(found, fields);
    }

    #[test]
    fn a_plain_one_is_fine() {
        violates(|_| {}, &[]);
    }

    #[test]
    fn identity() {
        violates(|it| it.client_id = String::new(), &["client_id"]);
        violates(|it| it.client_id = "user:alice".into(), &["client_id"]);
        violates(|it| it.client_id = "ä".into(), &["client_id"]);
        violates(|it| it.display_name = "x".repeat(256), &["display_name"]);
        violates(|it| it.display_name = "a\r\nb".into(), &["display_name"]);
    }

    #[test]
    fn format_and_lifetime() {
        violates(|it| it.token_format = 0, &["token_format"]);
        violates(|it| it.token_format = 99, &["token_format"]);
        violates(|it| it.access_token_lifetime_seconds = 86_400, &[]);
        violates(
            |it| it.access_token_lifetime_seconds = 86_401,
            &["access_token_lifetime_seconds"],
        );
    }

    #[test]
    fn binding() {
        violates(|it| it.set_binding_type(BindingType::Dpop), &["binding_type"]);
        violates(|it| it.binding_type = 99, &["binding_type"]);
        for unbound in [BindingType::None, BindingType::Unspecified] {
            violates(
                |it| {
                    it.set_binding_type(unbound);
                    it.require_binding = true;
                    it.enforce_binding = true;
                    it.max_bindings_per_subject = 1;
                },
                &["require_binding", "enforce_binding", "max_bindings_per_subject"],
            );
        }
        violates(|it| it.max_bindings_per_subject = 1_000, &[]);
        violates(|it| it.max_bindings_per_subject = 1_001, &["max_bindings_per_subject"]);
        violates(
            |it| it.set_binding_limit_policy(BindingLimitPolicy::EvictOldest),
            &["binding_limit_policy"],
        );
        violates(|it| it.binding_limit_policy = 99, &["binding_limit_policy"]);
    }

    #[test]
    fn grants() {
        violates(|it| it.grants.clear(), &["grants"]);
        violates(|it| it.grants = vec![0], &["grants[0]"]);
        violates(|it| it.grants = vec![1, 1], &["grants[1]"]);
        violates(|it| it.grants = vec![2, 77], &["grants[1]"]);
    }

    #[test]
    fn scopes_and_audiences() {
        violates(|it| it.scopes.push("orders.read".into()), &["scopes[2]"]);
        violates(|it| it.scopes.push("a b".into()), &["scopes[2]"]);
        violates(|it| it.scopes = (0..65).map(|n| format!("s{n}")).collect(), &["scopes"]);
        violates(
            |it| it.default_scopes = vec!["orders.delete".into()],
            &["default_scopes[0]"],
        );
        violates(|it| it.audiences.clear(), &["audiences"]);
        violates(
            |it| it.audiences = (0..17).map(|n| format!("a{n}")).collect(),
            &["audiences"],
        );
        violates(
            |it| it.audiences = vec!["orders".into(), String::new()],
            &["audiences[1]"],
        );
        violates(
            |it| it.default_audiences = vec!["other".into()],
            &["default_audiences[0]"],
        );
    }

    #[test]
    fn the_admin_scope_is_for_client_credentials_at_the_issuer() {
        violates(|it| it.scopes.push(ADMIN_SCOPE.into()), &["scopes[2]", "scopes[2]"]);
        violates(
            |it| {
                it.grants = vec![GrantType::ClientCredentials.into()];
                it.scopes = vec![ADMIN_SCOPE.into()];
                it.audiences = vec![ADMIN_AUDIENCE.into()];
            },
            &[],
        );
    }

    #[test]
    fn claims() {
        let claim = |name: &str, value| ClaimMapping {
            name: name.into(),
            value,
        };
        let text = |length: usize| Some(Value::StaticValue("x".repeat(length)));
        violates(|it| it.claims = vec![claim("tenant", text(1_024))], &[]);
        violates(
            |it| it.claims = vec![claim("tenant", text(1_025))],
            &["claims[0].static_value"],
        );
        violates(|it| it.claims = vec![claim("tenant", None)], &["claims[0]"]);
        violates(
            |it| it.claims = vec![claim("sub", text(1)), claim("cnf", text(1))],
            &["claims[0].name", "claims[1].name"],
        );
        violates(
            |it| it.claims = vec![claim("a", text(1)), claim("a", text(1))],
            &["claims[1].name"],
        );
        violates(|it| it.claims = vec![claim("", text(1))], &["claims[0].name"]);
        let nameless = Some(Value::UserAttribute(String::new()));
        violates(
            |it| it.claims = vec![claim("a", nameless)],
            &["claims[0].user_attribute"],
        );
        violates(
            |it| it.claims = (0..33).map(|n| claim(&format!("c{n}"), text(1))).collect(),
            &["claims"],
        );
    }

    #[test]
    fn all_violations_are_told_at_once() {
        violates(
            |it| {
                it.client_id.clear();
                it.token_format = 0;
                it.grants.clear();
                it.audiences.clear();
            },
            &["client_id", "token_format", "grants", "audiences"],
        );
    }

    #[test]
    fn an_unspecified_binding_type_is_none() {
        let mut application = Application::default();
        normalize_application(&mut application);
        assert_eq!(application.binding_type(), BindingType::None);
    }
}
