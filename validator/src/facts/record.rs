//! From the record of a slot to the facts of the token that was presented.

use prost_types::Struct;
use tokenbind_index::{BindingRef, Locator, Subject, TokenDigest};
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::{BindingType, Reason, TokenFormat};

use super::claims::NumericDate;
use super::json::Members;
use super::source::Proven;
use super::{TokenBinding, TokenFacts};

/// The facts of a token, if the record is its own.
pub(super) fn facts(digest: TokenDigest, proven: Proven, record: Option<TokenRecord>) -> Result<TokenFacts, Reason> {
    let record = of_this_token(digest, &proven, record)?;
    let Some(claims) = proven.claims else {
        let mapped = mapped_claims(&record.claims_json).ok_or(Reason::TokenNotLive)?;
        return Ok(common(record, proven.locator, TokenFormat::Opaque, mapped));
    };
    if !claims.agree_with(&record) {
        return Err(Reason::TokenNotLive);
    }
    Ok(TokenFacts {
        issuer: Some(claims.iss.clone()),
        issued_at_us: claims.iat.as_micros(),
        not_before_us: claims.nbf.map_or(0, NumericDate::as_micros),
        expires_at_us: claims.exp.as_micros(),
        ..common(record, proven.locator, TokenFormat::Jwt, claims.into_mapped())
    })
}

/// The record, if the slot holds this very token.
pub(super) fn of_this_token(
    digest: TokenDigest,
    proven: &Proven,
    record: Option<TokenRecord>,
) -> Result<TokenRecord, Reason> {
    let record = record.ok_or(Reason::TokenNotLive)?;
    if record.digest == digest.0 {
        Ok(record)
    } else {
        Err(not_this_token(proven, &record))
    }
}

/// The slot holds something else. An opaque token with the nonce of the one that it holds was never issued: somebody knows
/// the readable part and made up the rest.
fn not_this_token(proven: &Proven, record: &TokenRecord) -> Reason {
    if proven.claims.is_none() && record.nonce == proven.locator.nonce.0 {
        Reason::TokenNotLive
    } else {
        Reason::TokenSuperseded
    }
}

/// What both formats have in the record.
fn common(record: TokenRecord, locator: Locator, format: TokenFormat, claims: Struct) -> TokenFacts {
    let ends_at_us = record.revision.saturating_add(u64::from(record.lifetime_ms) * 1_000);
    TokenFacts {
        format,
        binding: binding(&record),
        subject: Subject::from_claim(&record.subject),
        client_id: record.client_id,
        scopes: record.scopes,
        audiences: record.audiences,
        issuer: None,
        locator,
        issued_at_us: record.revision,
        not_before_us: 0,
        expires_at_us: ends_at_us,
        record_ends_at_us: ends_at_us,
        revision: record.revision,
        generation: record.generation,
        claims,
    }
}

/// A binding that is not whole satisfies no request: a record that lost its reference does not make its token unbound.
fn binding(record: &TokenRecord) -> TokenBinding {
    let reference = BindingRef::from_record(&record.binding_ref);
    let sha256 = <[u8; 32]>::try_from(record.certificate_sha256.as_slice());
    match (record.binding_type(), reference, sha256) {
        (BindingType::None, None, Err(_)) if record.binding_ref.is_empty() => TokenBinding::None,
        (BindingType::ClientRequest, Some(reference), _) => TokenBinding::ClientRequest(reference),
        (BindingType::Certificate, Some(reference), Ok(sha256)) => TokenBinding::Certificate { reference, sha256 },
        (binding_type, ..) => TokenBinding::Unprovable(binding_type),
    }
}

fn mapped_claims(json: &str) -> Option<Struct> {
    if json.is_empty() {
        return Some(Struct::default());
    }
    Members::from_slice(json.as_bytes()).map(|members| members.0)
}
