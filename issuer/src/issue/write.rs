//! Makes the token and puts its record in the slot.

use secrecy::SecretString;
use tokenbind_index::{
    BindingTag, DocumentKind, Issue, IssuePolicy, Issued, Locator, MAX_TOKEN_BYTES, Nonce, Revision, TokenDigest,
    UNTRUSTED,
};
use tokenbind_jose::Act;
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::TokenFormat;

use super::IssuedToken;
use super::dependencies::ended_meanwhile;
use super::granted::Token;
use super::login::{Held, Turn};
use crate::application::Application;
use crate::claims::{self, Audience, Claims};
use crate::context::Issuer;
use crate::error::IssuerError;

/// How often a live opaque token that cannot be derived again is replaced, before another issuer with other keys that does
/// the same is let have its way.
const ATTEMPTS: usize = 3;

/// A token and what its record is found by.
pub(super) struct Written {
    pub(super) issued: IssuedToken,
    /// As much of the record in the slot as it takes to revoke it.
    pub(super) record: TokenRecord,
}

impl Issuer {
    /// Writes the token; `None` when the application was revoked since it was read.
    pub(super) async fn write(
        &self,
        application: &Application,
        token: &Token,
        turn: &mut Turn,
    ) -> Result<Option<Written>, IssuerError> {
        match application.format {
            TokenFormat::Jwt => self.write_jwt(application, token, turn).await,
            TokenFormat::Opaque => self.write_opaque(application, token, turn).await,
            TokenFormat::Unspecified => Err(IssuerError::Internal("an application has no token format".to_owned())),
        }
    }

    /// S1–S4. Signed before it is written: when either fails, the old token is still live.
    async fn write_jwt(
        &self,
        application: &Application,
        token: &Token,
        turn: &mut Turn,
    ) -> Result<Option<Written>, IssuerError> {
        let (now_us, began_us) = (self.clock.now_us(), self.clock.monotonic_us());
        let lifetime = token.lifetime_seconds(application, now_us)?;
        let jwt = self.sign(application, token, self.locator(token), lifetime)?;
        let record = record(application, token, &jwt, lifetime);
        let policy = match token.instead_of {
            Some((digest, _)) => IssuePolicy::ReplaceOnly(digest),
            None => IssuePolicy::Replace,
        };
        let found_by = found_by(&record);
        match self.put(application, token, record, policy, turn).await? {
            // By a clock that was set since it was last compared, the token says that it has ended, or that it has not begun.
            Issued::New { revision, .. } if !self.clock.agrees(revision, now_us, self.since(began_us)) => {
                Err(IssuerError::Unavailable(UNTRUSTED.to_owned()))
            }
            Issued::New { revision, superseded } => Ok(Some(Written {
                issued: new(lifetime, token, jwt, revision, superseded),
                record: found_by,
            })),
            Issued::GenerationBehind => Ok(None),
            Issued::LimitReached => Err(IssuerError::BindingLimitReached),
            Issued::Gone => Err(ended_meanwhile(token.instead_of.map_or("grant", |(_, field)| field))),
            Issued::Kept { .. } => Err(IssuerError::Internal(
                "the store kept a token that was to be replaced".to_owned(),
            )),
        }
    }

    /// S5–S8, S15. A live token is answered again where its key is still there, and replaced where it is not.
    async fn write_opaque(
        &self,
        application: &Application,
        token: &Token,
        turn: &mut Turn,
    ) -> Result<Option<Written>, IssuerError> {
        let mut except = None;
        let mut now_us = self.clock.now_us();
        for _ in 0..ATTEMPTS {
            let lifetime = token.lifetime_seconds(application, now_us)?;
            let (text, record) = self.derive(application, token, lifetime)?;
            let found_by = found_by(&record);
            match self
                .put(application, token, record, IssuePolicy::Keep { except }, turn)
                .await?
            {
                // Written so late that it would outlive what it must not: once more, by the store's own clock.
                Issued::New { revision, .. } if token.is_outlived_by(revision, found_by.lifetime_ms) => {
                    (except, now_us) = (Some(revision), revision);
                }
                Issued::New { revision, superseded } => {
                    return Ok(Some(Written {
                        issued: new(lifetime, token, text, revision, superseded),
                        record: found_by,
                    }));
                }
                Issued::Kept { record, .. } if token.is_outlived_by(record.revision, record.lifetime_ms) => {
                    except = Some(record.revision);
                }
                Issued::Kept { record, remaining_ms } => match self.derive_again(token, &record) {
                    Some(text) => {
                        return Ok(Some(Written {
                            issued: again(token, text, &record, remaining_ms),
                            record: *record,
                        }));
                    }
                    None => except = Some(record.revision),
                },
                Issued::GenerationBehind => return Ok(None),
                Issued::LimitReached => return Err(IssuerError::BindingLimitReached),
                Issued::Gone => return Err(IssuerError::Internal("the store looked for another token".to_owned())),
            }
        }
        Err(IssuerError::Unavailable(
            "another issuer holds other opaque keys and takes the slot".to_owned(),
        ))
    }

    async fn put(
        &self,
        application: &Application,
        token: &Token,
        record: TokenRecord,
        policy: IssuePolicy,
        turn: &mut Turn,
    ) -> Result<Issued, IssuerError> {
        let issue = Issue {
            home: token.home,
            slot: token.slot,
            record,
            binding: token.bound.as_ref().map_or(BindingTag::UNBOUND, |bound| bound.tag),
            policy,
            limit: application.limit,
        };
        self.issue_in_turn(application, token, issue, turn).await
    }

    /// How long ago that was, in microseconds.
    fn since(&self, began_us: u64) -> u64 {
        self.clock.monotonic_us().saturating_sub(began_us)
    }

    fn locator(&self, token: &Token) -> Locator {
        Locator {
            home: token.home,
            slot: token.slot,
            nonce: self.nonce(),
        }
    }

    fn sign(
        &self,
        application: &Application,
        token: &Token,
        locator: Locator,
        lifetime: u32,
    ) -> Result<String, IssuerError> {
        let now = self.clock.now_seconds();
        let held = self.keys.look();
        let key = held.usable().ok_or(IssuerError::KeysWithdrawn("signing"))?;
        let jwt = key.sign(&Claims {
            iss: &self.issuer_url,
            sub: &token.subject.claim(),
            aud: Audience::of(&token.audiences),
            exp: now + u64::from(lifetime),
            iat: now,
            nbf: now,
            jti: &locator.encode(),
            client_id: &application.client_id,
            azp: &application.client_id,
            scope: claims::scope(&token.scopes),
            aut: token.subject.authorized_user_type(),
            binding_type: claims::binding_word(claims::binding_type(token.bound.as_ref())),
            binding_ref: token.bound.as_ref().map(|bound| bound.reference.encode()),
            cnf: claims::confirmation(token.bound.as_ref()),
            act: token.act.clone().map(Act),
            mapped: &token.mapped,
        });
        let jwt = jwt.map_err(|error| IssuerError::Internal(error.to_string()))?;
        if jwt.len() > MAX_TOKEN_BYTES {
            let problem = format!("the token would be longer than {MAX_TOKEN_BYTES} bytes: ask for fewer scopes");
            return Err(IssuerError::invalid_field("scopes", problem));
        }
        Ok(jwt)
    }

    fn derive(
        &self,
        application: &Application,
        token: &Token,
        lifetime: u32,
    ) -> Result<(String, TokenRecord), IssuerError> {
        let locator = self.locator(token);
        let (key_id, text) = self.opaque_keys.derive(locator)?;
        let mut record = record(application, token, &text, lifetime);
        record.subject = token.subject.claim();
        record.audiences = token.audiences.iter().cloned().collect();
        record.act.clone_from(&token.act);
        record.nonce = locator.nonce.0.to_vec();
        record.opaque_key_id = key_id.to_string();
        if !token.mapped.is_empty() {
            record.claims_json = serde_json::Value::Object(token.mapped.clone()).to_string();
        }
        Ok((text, record))
    }

    /// The token of a record (S18: the store never had it). `None` when its key is gone, or was another of the same name.
    fn derive_again(&self, token: &Token, record: &TokenRecord) -> Option<String> {
        let nonce = Nonce(record.nonce.as_slice().try_into().ok()?);
        let locator = Locator {
            home: token.home,
            slot: token.slot,
            nonce,
        };
        let text = self.opaque_keys.derive_again(&record.opaque_key_id, locator)?;
        (record.digest == TokenDigest::of(&text).0).then_some(text)
    }

    /// A token for a user who was changed while it was made is void: what was judged is not so any more. Whoever changes a
    /// user revokes afterwards, so a token that is written before the change is met by that revocation.
    pub(super) async fn confirm_user(
        &self,
        token: &Token,
        written: &Written,
        begun: Option<&Held>,
        judged: Option<Revision>,
    ) -> Result<(), IssuerError> {
        let (Some(judged), Some(username)) = (judged, token.subject.username()) else {
            return Ok(());
        };
        let user = self.store.document(DocumentKind::User, username).await?;
        if user.is_some_and(|user| user.version == judged) {
            return Ok(());
        }
        self.store.revoke_token(token.home, token.slot, &written.record).await?;
        if let Some(begun) = begun {
            self.store.end_family(&begun.family.locator).await?;
        }
        Err(IssuerError::Unavailable("the user was changed meanwhile".to_owned()))
    }
}

/// What the record of either format says; that of an opaque token, which says nothing itself, has more.
fn record(application: &Application, token: &Token, text: &str, lifetime: u32) -> TokenRecord {
    let bound = token.bound.as_ref();
    let mut record = TokenRecord {
        generation: application.generation,
        digest: TokenDigest::of(text).0.to_vec(),
        lifetime_ms: lifetime.saturating_mul(1_000),
        client_id: application.client_id.clone(),
        scopes: token.scopes.iter().cloned().collect(),
        binding_ref: bound.map(|bound| bound.reference.0.to_vec()).unwrap_or_default(),
        certificate_sha256: bound
            .and_then(|bound| bound.certificate_sha256)
            .map(|sha256| sha256.to_vec())
            .unwrap_or_default(),
        ..TokenRecord::default()
    };
    record.set_format(application.format);
    record.set_binding_type(claims::binding_type(bound));
    record
}

/// What [`revoke_token`](tokenbind_index::BindingIndex::revoke_token) needs of a record: much less to keep than all of it.
fn found_by(record: &TokenRecord) -> TokenRecord {
    TokenRecord {
        digest: record.digest.clone(),
        lifetime_ms: record.lifetime_ms,
        ..TokenRecord::default()
    }
}

fn new(lifetime: u32, token: &Token, text: String, revision: Revision, superseded: bool) -> IssuedToken {
    IssuedToken {
        access_token: SecretString::from(text),
        expires_in: lifetime,
        scopes: token.scopes.clone(),
        binding_type: claims::binding_type(token.bound.as_ref()),
        binding_ref: token.bound.as_ref().map(|bound| bound.reference),
        reused: false,
        superseded,
        revision,
        refresh_token: None,
    }
}

fn again(token: &Token, text: String, record: &TokenRecord, remaining_ms: u64) -> IssuedToken {
    IssuedToken {
        access_token: SecretString::from(text),
        // S15: never 0.
        expires_in: u32::try_from(remaining_ms / 1_000).unwrap_or(u32::MAX).max(1),
        scopes: token.scopes.clone(),
        binding_type: claims::binding_type(token.bound.as_ref()),
        binding_ref: token.bound.as_ref().map(|bound| bound.reference),
        reused: true,
        superseded: false,
        revision: record.revision,
        refresh_token: None,
    }
}
