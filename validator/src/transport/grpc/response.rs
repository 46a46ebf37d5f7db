//! Answers, as the `.proto` writes them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_types::{Duration, Struct, Timestamp};
use tokenbind_index::BindingRef;
use tokenbind_proto::answering::{Facts, ValidateTokenResponse};
use tokenbind_proto::v1::{self, BindingType, Confirmation, IntrospectTokenResponse, TokenFormat};

use crate::facts::{TokenBinding, TokenFacts};
use crate::verdict::{Freshness, Verdict};

pub(super) fn validated(verdict: Verdict) -> ValidateTokenResponse {
    ValidateTokenResponse {
        decision: verdict.decision().into(),
        reason: verdict.reason.into(),
        http_status: verdict.http_status(),
        freshness: Some(freshness(&verdict.freshness)),
        token: verdict.token.map(|token| Facts::new(token)),
        www_authenticate: verdict.www_authenticate.into_owned(),
    }
}

/// RFC 7662, section 2.2; `None` is a token of which nothing is told.
pub(crate) fn introspected(active: Option<&TokenFacts>) -> IntrospectTokenResponse {
    let Some(token) = active else {
        return IntrospectTokenResponse::default();
    };
    IntrospectTokenResponse {
        active: true,
        scope: token.grant.scopes.join(" "),
        client_id: token.grant.client_id.clone(),
        username: token.subject.username().unwrap_or_default().to_owned(),
        token_type: "Bearer".to_owned(),
        exp: seconds(token.expires_at_us),
        iat: seconds(token.issued_at_us),
        nbf: match token.grant.format {
            TokenFormat::Opaque => seconds(token.issued_at_us),
            TokenFormat::Jwt | TokenFormat::Unspecified => seconds(token.not_before_us),
        },
        sub: token.subject.claim(),
        aud: token.grant.audiences.clone(),
        iss: token.grant.issuer.clone().unwrap_or_default(),
        jti: token.locator.encode(),
        binding_type: binding_word(token.binding.binding_type()).to_owned(),
        binding_ref: binding_ref(token),
        aut: token.subject.authorized_user_type().to_owned(),
        cnf: confirmation(token),
        claims: claims(token),
        act: token.act.as_deref().cloned(),
    }
}

fn confirmation(token: &TokenFacts) -> Option<Confirmation> {
    match &token.binding {
        TokenBinding::Certificate { sha256, .. } => Some(Confirmation {
            x5t_s256: URL_SAFE_NO_PAD.encode(sha256),
        }),
        _ => None,
    }
}

fn binding_word(binding_type: BindingType) -> &'static str {
    match binding_type {
        BindingType::None => "none",
        BindingType::ClientRequest => "client-request",
        BindingType::Certificate => "certificate",
        BindingType::Dpop => "dpop",
        BindingType::Unspecified => "",
    }
}

fn binding_ref(token: &TokenFacts) -> String {
    token.binding.reference().map(BindingRef::encode).unwrap_or_default()
}

fn claims(token: &TokenFacts) -> Option<Struct> {
    token.claims.as_deref().cloned()
}

fn freshness(freshness: &Freshness) -> v1::Freshness {
    let (staleness_seconds, staleness_nanos) = split(freshness.max_staleness_us);
    v1::Freshness {
        source: freshness.source.into(),
        revision: freshness.revision,
        checked_at: Some(timestamp(freshness.checked_at_us)),
        max_staleness: Some(Duration {
            seconds: staleness_seconds,
            nanos: staleness_nanos,
        }),
    }
}

pub(super) fn timestamp(micros: u64) -> Timestamp {
    let (seconds, nanos) = split(micros);
    Timestamp { seconds, nanos }
}

fn seconds(micros: u64) -> i64 {
    split(micros).0
}

fn split(micros: u64) -> (i64, i32) {
    let nanos = i32::try_from(micros % 1_000_000 * 1_000).unwrap_or_default();
    (i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX), nanos)
}
