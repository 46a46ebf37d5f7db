//! A live token of ours, as somebody shows it to the issuer.

use std::collections::BTreeSet;

use serde::Deserialize;
use tokenbind_index::{BindingRef, BindingValue, Locator, Namespace, Subject, TokenReference};
use tokenbind_jose::{Act, Audience, CompactJws, NumericDate};
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::{Actor, BindingType, TokenFormat};

use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;

/// What is known of it.
#[derive(Clone, Debug)]
pub(crate) struct LiveToken {
    /// Where it is.
    pub(crate) locator: Locator,
    /// To whom it was issued.
    pub(crate) client_id: String,
    /// Who it speaks for.
    pub(crate) subject: Subject,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) audiences: BTreeSet<String>,
    /// Who acts for the subject.
    pub(crate) act: Option<Actor>,
    /// When it ends, in microseconds since 1970.
    pub(crate) ends_at_us: u64,
    /// What it is bound to.
    pub(crate) binding: HeldBinding,
}

/// What a token is bound to, as its record has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldBinding {
    None,
    ClientRequest(BindingRef),
    Certificate([u8; 32]),
    /// Something that cannot be proven here.
    Unprovable,
}

impl HeldBinding {
    fn of(record: &TokenRecord) -> Self {
        let reference = BindingRef::from_record(&record.binding_ref);
        let sha256 = <[u8; 32]>::try_from(record.certificate_sha256.as_slice());
        match (record.binding_type(), reference, sha256) {
            (BindingType::None, None, Err(_)) if record.binding_ref.is_empty() => Self::None,
            (BindingType::ClientRequest, Some(reference), _) => Self::ClientRequest(reference),
            (BindingType::Certificate, Some(_), Ok(sha256)) => Self::Certificate(sha256),
            _ => Self::Unprovable,
        }
    }

    /// Which of the values that came with a request proves it; an unbound token needs none. `Err` when none does.
    pub(crate) fn proven_by(
        self,
        tenant: &Namespace,
        client_id: &str,
        presented: &[BindingValue],
    ) -> Result<Option<BindingValue>, ()> {
        let proves = |value: &&BindingValue| match (self, value) {
            (Self::ClientRequest(reference), value @ BindingValue::ClientRequest(_)) => {
                value.reference(tenant, client_id) == reference
            }
            (Self::Certificate(sha256), BindingValue::Certificate(presented)) => sha256 == *presented,
            _ => false,
        };
        match self {
            Self::None => Ok(None),
            _ => presented.iter().find(proves).cloned().map(Some).ok_or(()),
        }
    }
}

/// What a JWT of ours says; its record has its digest, so it says what the issuer wrote.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: NumericDate,
    client_id: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    act: Option<Act>,
}

impl Issuer {
    /// The token, if its slot holds it and its application is enabled and has not been revoked since. Nothing of it is believed
    /// before its digest is that of the record.
    pub(crate) async fn live_token(&self, token: &str) -> Result<Option<LiveToken>, IssuerError> {
        let Some(reference) = TokenReference::parse(token) else {
            return Ok(None);
        };
        let record = self.store.read(&reference.locator).await?;
        let Some(record) = record.filter(|record| record.digest == reference.digest.0) else {
            return Ok(None);
        };
        if self.is_of_withdrawn_key(token, &record) {
            return Ok(None);
        }
        let application = Application::load(self.store.as_ref(), &record.client_id).await?;
        if !application.is_some_and(|it| it.generation == record.generation && !it.disabled) {
            return Ok(None);
        }
        let record_ends_us = record.revision.saturating_add(u64::from(record.lifetime_ms) * 1_000);
        let binding = HeldBinding::of(&record);
        if reference.format == TokenFormat::Opaque {
            return Ok(Some(LiveToken {
                locator: reference.locator,
                subject: Subject::from_claim(&record.subject),
                client_id: record.client_id,
                scopes: record.scopes.into_iter().collect(),
                audiences: record.audiences.into_iter().collect(),
                act: record.act,
                ends_at_us: record_ends_us,
                binding,
            }));
        }
        let claims = CompactJws::parse(token).and_then(|jws| jws.unverified_payload());
        let claims: Option<Claims> = claims.and_then(|payload| serde_json::from_slice(&payload).ok());
        let live = claims.filter(|claims| {
            claims.iss == *self.issuer_url
                && claims.client_id == record.client_id
                && claims.exp.as_micros() > self.clock.now_us()
        });
        Ok(live.map(|claims| LiveToken {
            locator: reference.locator,
            client_id: claims.client_id,
            subject: Subject::from_claim(&claims.sub),
            scopes: claims.scope.split_whitespace().map(str::to_owned).collect(),
            audiences: claims.aud.as_slice().iter().cloned().collect(),
            act: claims.act.map(Actor::from),
            ends_at_us: record_ends_us.min(claims.exp.as_micros()),
            binding,
        }))
    }
}
