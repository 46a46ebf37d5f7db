//! From the record of a slot to the facts of the token that was presented.

use std::sync::OnceLock;

use prost_types::Struct;
use tokenbind_index::{BindingRef, Locator, Revision, Subject, TokenDigest};
use tokenbind_jose::{Members, NumericDate};
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::{BindingType, Reason, TokenFormat};

use super::claims::Claims;
use super::grants::Grants;
use super::source::Proven;
use super::{Grant, TokenBinding, TokenFacts};

/// The facts of the token, if the record is its own.
pub(super) fn facts(
    digest: TokenDigest,
    proven: Proven,
    record: Option<TokenRecord>,
    grants: &Grants,
) -> Result<TokenFacts, Reason> {
    let record = of_this_token(digest, &proven.locator, proven.signed.is_none(), record)?;
    match proven.signed {
        Some(it) if !it.claims.agree_with(&record) => Err(Reason::TokenNotLive),
        Some(it) => Ok(signed(proven.locator, it.claims, record, grants)),
        None => recorded(proven.locator, record, grants),
    }
}

/// The facts of a JWT: what was signed. The record adds how it is bound and until when it is in its slot.
fn signed(locator: Locator, mut claims: Claims, record: TokenRecord, grants: &Grants) -> TokenFacts {
    TokenFacts {
        binding: binding(&record),
        grant: grants.shared(Grant {
            format: TokenFormat::Jwt,
            client_id: record.client_id,
            scopes: claims.scopes(),
            audiences: claims.audiences(),
            issuer: Some(claims.iss.clone()),
            written: OnceLock::new(),
        }),
        subject: claims.subject(),
        locator,
        issued_at_us: claims.iat.as_micros(),
        not_before_us: claims.nbf.map_or(0, NumericDate::as_micros),
        expires_at_us: claims.exp.as_micros(),
        record_ends_at_us: ends_at_us(record.revision, record.lifetime_ms),
        revision: record.revision,
        generation: record.generation,
        act: claims.act.take().map(|act| Box::new(act.into())),
        claims: claims.into_mapped(),
    }
}

/// The facts of an opaque token, which is nothing but its record.
fn recorded(locator: Locator, record: TokenRecord, grants: &Grants) -> Result<TokenFacts, Reason> {
    let ends_at_us = ends_at_us(record.revision, record.lifetime_ms);
    Ok(TokenFacts {
        binding: binding(&record),
        claims: mapped_claims(&record.claims_json).ok_or(Reason::TokenNotLive)?,
        act: record.act.map(Box::new),
        subject: Subject::from_claim(&record.subject),
        grant: grants.shared(Grant {
            format: TokenFormat::Opaque,
            client_id: record.client_id,
            scopes: record.scopes,
            audiences: record.audiences,
            issuer: None,
            written: OnceLock::new(),
        }),
        locator,
        issued_at_us: record.revision,
        not_before_us: 0,
        expires_at_us: ends_at_us,
        record_ends_at_us: ends_at_us,
        revision: record.revision,
        generation: record.generation,
    })
}

fn ends_at_us(revision: Revision, lifetime_ms: u32) -> u64 {
    revision.saturating_add(u64::from(lifetime_ms) * 1_000)
}

/// The record, if the slot holds this very token.
pub(super) fn of_this_token(
    digest: TokenDigest,
    locator: &Locator,
    opaque: bool,
    record: Option<TokenRecord>,
) -> Result<TokenRecord, Reason> {
    let record = record.ok_or(Reason::TokenNotLive)?;
    if record.digest == digest.0 {
        Ok(record)
    } else {
        Err(not_this_token(locator, opaque, &record))
    }
}

/// The slot holds something else. An opaque token with the nonce of the one that it holds was never issued: somebody knows
/// the readable part and made up the rest.
fn not_this_token(locator: &Locator, opaque: bool, record: &TokenRecord) -> Reason {
    if opaque && record.nonce == locator.nonce.0 {
        Reason::TokenNotLive
    } else {
        Reason::TokenSuperseded
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

/// The outer `None` is for what is no object.
#[expect(clippy::option_option, reason = "the two mean different things, and only here")]
fn mapped_claims(json: &str) -> Option<Option<Box<Struct>>> {
    if json.is_empty() {
        return Some(None);
    }
    let members = Members::from_slice(json.as_bytes())?;
    Some((!members.0.fields.is_empty()).then(|| Box::new(members.0)))
}
