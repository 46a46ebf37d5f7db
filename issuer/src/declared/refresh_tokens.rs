//! What an application's refresh tokens may be.

use tokenbind_proto::v1::{Application, GrantType};

use crate::application::{MAX_GRACE_SECONDS, MAX_GRACE_USES, MAX_REFRESH_LIFETIME_SECONDS};
use crate::error::FieldViolations;

/// The grants by which a user logs in, so that there is something to refresh.
const LOGINS: [GrantType; 1] = [GrantType::Password];

pub(super) fn check(application: &Application, violations: &mut FieldViolations) {
    let has = |grant: GrantType| application.grants.contains(&(grant as i32));
    if let Some(index) = application
        .grants
        .iter()
        .position(|grant| *grant == GrantType::RefreshToken as i32)
    {
        violations.require(
            LOGINS.into_iter().any(has),
            &format!("grants[{index}]"),
            "needs a grant for users: `client_credentials` gives no refresh token",
        );
    }
    let Some(settings) = &application.refresh_tokens else {
        return;
    };
    violations.require(
        has(GrantType::RefreshToken),
        "refresh_tokens",
        "needs the grant `refresh_token`: without it there are none",
    );
    let lifetimes = [
        ("lifetime_seconds", settings.lifetime_seconds, "2592000"),
        (
            "idle_lifetime_seconds",
            settings.idle_lifetime_seconds,
            "604800, or the lifetime if that is shorter",
        ),
    ];
    for (name, seconds, default) in lifetimes {
        violations.require(
            seconds <= MAX_REFRESH_LIFETIME_SECONDS,
            &format!("refresh_tokens.{name}"),
            &format!("must be 1 to {MAX_REFRESH_LIFETIME_SECONDS}, or 0 for {default}"),
        );
    }
    if settings.lifetime_seconds > 0 {
        violations.require(
            settings.idle_lifetime_seconds <= settings.lifetime_seconds,
            "refresh_tokens.idle_lifetime_seconds",
            "must not be longer than `lifetime_seconds`",
        );
    }
    let grace = [
        ("grace_seconds", settings.grace_seconds, MAX_GRACE_SECONDS),
        ("grace_uses", settings.grace_uses, MAX_GRACE_USES),
    ];
    for (name, stated, most) in grace {
        violations.require(
            stated.is_none_or(|stated| stated <= most),
            &format!("refresh_tokens.{name}"),
            &format!("must be 0 to {most}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use tokenbind_proto::v1::RefreshTokenSettings;

    use super::*;

    #[track_caller]
    fn violates(grants: &[GrantType], settings: Option<RefreshTokenSettings>, fields: &[&str]) {
        let application = Application {
            grants: grants.iter().map(|grant| *grant as i32).collect(),
            refresh_tokens: settings,
            ..Application::default()
        };
        let mut violations = FieldViolations::new();
        check(&application, &mut violations);
        let found: Vec<_> = violations.as_slice().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(found, fields);
    }

    #[test]
    fn they_need_a_login() {
        use GrantType::{ClientCredentials, Password, RefreshToken};
        let settings = Some(RefreshTokenSettings::default());
        violates(&[Password, RefreshToken], None, &[]);
        violates(&[Password, RefreshToken], settings, &[]);
        violates(&[ClientCredentials, RefreshToken], None, &["grants[1]"]);
        violates(&[Password], settings, &["refresh_tokens"]);
    }

    #[test]
    fn each_number_has_its_range() {
        let check = |change: fn(&mut RefreshTokenSettings), fields: &[&str]| {
            let mut settings = RefreshTokenSettings::default();
            change(&mut settings);
            violates(&[GrantType::Password, GrantType::RefreshToken], Some(settings), fields);
        };
        check(|it| it.lifetime_seconds = 31_536_000, &[]);
        check(
            |it| it.lifetime_seconds = 31_536_001,
            &["refresh_tokens.lifetime_seconds"],
        );
        check(
            |it| it.idle_lifetime_seconds = 31_536_001,
            &["refresh_tokens.idle_lifetime_seconds"],
        );
        check(
            |it| (it.lifetime_seconds, it.idle_lifetime_seconds) = (60, 61),
            &["refresh_tokens.idle_lifetime_seconds"],
        );
        check(|it| (it.grace_seconds, it.grace_uses) = (Some(60), Some(100)), &[]);
        check(
            |it| (it.grace_seconds, it.grace_uses) = (Some(61), Some(101)),
            &["refresh_tokens.grace_seconds", "refresh_tokens.grace_uses"],
        );
    }
}
