//! The one map from an error of a use case to an answer over HTTP (RFC 6749, section 5.2). Nothing internal passes it.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tokenbind_runtime::http::OAuthError;

use crate::error::{FieldViolation, IssuerError};

/// When a client may try again where nothing better is known.
const RETRY: Duration = Duration::from_secs(1);
/// How many violations a description names.
const NAMED: usize = 5;

/// RFC 7617.
const BASIC: HeaderValue = HeaderValue::from_static(r#"Basic realm="tokenbind", charset="UTF-8""#);

/// The answer that says what went wrong. What the error keeps for the log goes there, and nowhere else.
pub(super) fn to_answer(error: IssuerError) -> OAuthError {
    let reason = error.reason();
    let refused = |why: Cow<'static, str>| OAuthError::new(StatusCode::BAD_REQUEST, reason, why);
    match error {
        IssuerError::Invalid { violations, .. } => refused(summary(&violations).into()),
        IssuerError::InvalidClient => {
            OAuthError::new(StatusCode::UNAUTHORIZED, reason, "client authentication failed").challenge(BASIC)
        }
        IssuerError::InvalidGrant => refused("the credentials of the grant are not valid".into()),
        IssuerError::UnauthorizedClient(why) => refused(why.into()),
        IssuerError::BindingLimitReached => {
            refused("the subject has as many live bindings as the application allows".into())
        }
        IssuerError::TooManyAttempts { retry_after } => {
            let why = "too many wrong secrets or passwords: try again after the wait";
            OAuthError::new(StatusCode::TOO_MANY_REQUESTS, reason, why).after(retry_after)
        }
        IssuerError::Overloaded => OAuthError::unavailable(RETRY),
        IssuerError::Unavailable(detail) => {
            tracing::warn!(detail, "a request could not be answered");
            OAuthError::unavailable(RETRY)
        }
        IssuerError::Unconfirmed(detail) => {
            tracing::warn!(detail, "a revocation is not confirmed");
            OAuthError::unavailable(RETRY)
        }
        error @ IssuerError::KeysWithdrawn(_) => {
            tracing::warn!(detail = %error, "a request could not be answered");
            OAuthError::unavailable(RETRY)
        }
        IssuerError::Internal(detail) => {
            tracing::error!(detail, "a request failed");
            OAuthError::internal()
        }
        // Of administration, which is not there over HTTP.
        IssuerError::CredentialsMissing
        | IssuerError::InvalidToken
        | IssuerError::InsufficientScope(_)
        | IssuerError::NotFound(_)
        | IssuerError::AlreadyExists(_)
        | IssuerError::DeclaredInCatalog(_)
        | IssuerError::Conflict(_)
        | IssuerError::OnlyOne(_) => {
            tracing::error!(reason, "a request failed with an error that it cannot have");
            OAuthError::internal()
        }
    }
}

fn summary(violations: &[FieldViolation]) -> String {
    let told = violations.iter().take(NAMED);
    let told: Vec<_> = told
        .map(|violation| format!("{}: {}", parameter(&violation.field), violation.description))
        .collect();
    let more = if violations.len() > NAMED { "; and more" } else { "" };
    format!("{}{more}", told.join("; "))
}

/// The parameter of a form that became this field of a message.
fn parameter(field: &str) -> &str {
    let name = field.split('[').next().unwrap_or(field);
    match name.rsplit('.').next().unwrap_or(name) {
        "scopes" => "scope",
        "audiences" => "audience",
        "grant" => "grant_type",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};

    use super::*;

    #[test]
    fn fields_are_called_as_in_the_form() {
        for (field, name) in [
            ("scopes[3]", "scope"),
            ("audiences", "audience"),
            ("grant", "grant_type"),
            ("token_exchange.subject_token", "subject_token"),
            ("token_binding_id", "token_binding_id"),
        ] {
            assert_eq!(parameter(field), name);
        }
    }

    #[test]
    fn c7_every_error_has_its_status() {
        let wait = Duration::from_millis(1_500);
        for (error, status) in [
            (IssuerError::invalid_field("scopes", "x"), 400),
            (IssuerError::InvalidClient, 401),
            (IssuerError::InvalidGrant, 400),
            (IssuerError::UnauthorizedClient("x"), 400),
            (IssuerError::BindingLimitReached, 400),
            (IssuerError::TooManyAttempts { retry_after: wait }, 429),
            (IssuerError::Overloaded, 503),
            (IssuerError::Unavailable("x".to_owned()), 503),
            (IssuerError::Internal("x".to_owned()), 500),
            (IssuerError::NotFound("x"), 500),
        ] {
            let answer = to_answer(error.clone()).into_response();
            assert_eq!(answer.status(), status, "{error}");
            assert_eq!(answer.headers().contains_key(WWW_AUTHENTICATE), status == 401);
            assert_eq!(answer.headers().contains_key(RETRY_AFTER), [429, 503].contains(&status));
            assert_eq!(answer.headers()["cache-control"], "no-store");
        }
    }
}
