//! Is the token live? Judged on every call: facts may be known from before, the time and the application move on.

use tokenbind_proto::v1::{Reason, TokenFormat};

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
    if let Some(reason) = of_the_key(facts) {
        return Some(reason);
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

/// A JWT is nothing without its key; what is known of the key of an opaque token is only that it leaked.
fn of_the_key(facts: &Facts) -> Option<Reason> {
    let withdrawn = facts.key.map(|key| key.withdrawn);
    match facts.token.grant.format {
        TokenFormat::Opaque => (withdrawn == Some(true)).then_some(Reason::TokenNotLive),
        TokenFormat::Jwt | TokenFormat::Unspecified => (withdrawn != Some(false)).then_some(Reason::SignatureInvalid),
    }
}
