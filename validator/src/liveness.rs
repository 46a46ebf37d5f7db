//! Is the token live? Judged on every call: facts may be known from before, the time and the application move on.

use tokenbind_proto::v1::Reason;

use crate::facts::Facts;

/// Why the token is not live, if it is not (V2).
pub fn refusal(facts: &Facts, now_us: u64) -> Option<Reason> {
    let token = &*facts.token;
    if token.ends_at_us() <= now_us {
        return Some(Reason::TokenExpired);
    }
    if token.not_before_us > now_us {
        return Some(Reason::TokenNotYetValid);
    }
    match &facts.application {
        // A token that names no application has none to be revoked with; policy refuses it (V4).
        None if token.grant.client_id.is_empty() => None,
        None => Some(Reason::ApplicationRevoked),
        Some(application) if token.generation < application.generation => Some(Reason::ApplicationRevoked),
        Some(application) if application.disabled => Some(Reason::ApplicationDisabled),
        Some(_) => None,
    }
}
