//! What the store does for a login beside putting a token in its slot: it begins, or goes on with the next refresh token.

use secrecy::SecretString;
use tokenbind_index::{Begin, Begun, Issue, Issued, LiveFamily, Nonce, Refresh, Refreshed, Rotate};
use tokenbind_proto::index::v1::RefreshFamilyRecord;

use super::granted::Token;
use crate::application::{Application, RefreshSettings};
use crate::claims;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::grant::{Authorization, Login, UsedRefreshToken};
use crate::telemetry;

/// A refresh token, and how long it lives.
#[derive(Debug)]
pub struct IssuedRefreshToken {
    /// The token.
    pub token: SecretString,
    /// Seconds that it still lives if it is not used; at least 1.
    pub expires_in: u32,
}

/// What is to be done beside issuing. A request that issues in several attempts begins or rotates in the first that succeeds,
/// and holds what came of it in those after.
#[derive(Clone, Debug)]
pub(super) enum Turn {
    /// Nothing.
    None,
    /// A family begins.
    Begin(RefreshSettings, Subject),
    /// A refresh token was used.
    Rotate(RefreshSettings, Box<UsedRefreshToken>),
    /// It was done at the attempt before.
    Hold(Held),
}

/// What of a family depends on the user and not on the token.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    attributes: std::collections::HashMap<String, String>,
    built_in_user: bool,
}

/// A family whose live refresh token is to be answered.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) family: LiveFamily,
    key_id: String,
}

impl Turn {
    pub(super) fn of(application: &Application, authorization: &Authorization) -> Result<Self, IssuerError> {
        Ok(match (&authorization.login, application.refresh) {
            (Login::None, _) | (Login::Begins, None) => Self::None,
            (Login::Begins, Some(settings)) => {
                let built_in_user = authorization.user_version.is_some();
                let attributes = authorization.attributes.clone().into_iter();
                let subject = Subject {
                    // Those of our users are read again each time.
                    attributes: attributes.filter(|_| !built_in_user).collect(),
                    built_in_user,
                };
                Self::Begin(settings, subject)
            }
            (Login::GoesOn(used), Some(settings)) => Self::Rotate(settings, used.clone()),
            // Refused before; a token beside its family would be worse than none.
            (Login::GoesOn(_), None) => return Err(IssuerError::InvalidGrant),
        })
    }

    /// The family that it was done for.
    pub(super) fn held(&self) -> Option<&Held> {
        match self {
            Self::Hold(held) => Some(held),
            _ => None,
        }
    }
}

impl Issuer {
    /// Issues as [`BindingIndex::issue`](tokenbind_index::BindingIndex::issue) does, with what `turn` says.
    pub(super) async fn issue_in_turn(
        &self,
        application: &Application,
        token: &Token,
        issue: Issue,
        turn: &mut Turn,
    ) -> Result<Issued, IssuerError> {
        match turn {
            Turn::None => Ok(self.store.issue(issue).await?),
            Turn::Begin(settings, subject) => {
                let key_id = self.opaque_keys.in_use()?;
                let record = family(application, token, subject, &key_id);
                let begin = Begin {
                    nonce: self.nonce(),
                    record,
                    lifetime_ms: settings.lifetime_ms,
                    idle_ms: settings.idle_ms,
                };
                let Begun { issued, family } = self.store.begin_family(issue, begin).await?;
                if let Some(family) = family {
                    let key_id = key_id.to_string();
                    *turn = Turn::Hold(Held { family, key_id });
                }
                Ok(issued)
            }
            Turn::Rotate(settings, used) => {
                let key_id = self.opaque_keys.in_use()?;
                let rotate = Rotate {
                    record: RefreshFamilyRecord {
                        opaque_key_id: key_id.to_string(),
                        ..used.record.clone()
                    },
                    idle_ms: settings.idle_ms,
                    grace: settings.grace,
                };
                let refresh = Refresh {
                    family: used.family,
                    presented: used.sequence,
                    rotate: Some(rotate),
                };
                self.refresh(application, token, issue, refresh, key_id.to_string(), turn)
                    .await
            }
            Turn::Hold(held) => {
                let refresh = Refresh {
                    family: held.family.locator,
                    presented: held.family.sequence,
                    rotate: None,
                };
                let key_id = held.key_id.clone();
                self.refresh(application, token, issue, refresh, key_id, turn).await
            }
        }
    }

    async fn refresh(
        &self,
        application: &Application,
        token: &Token,
        issue: Issue,
        refresh: Refresh,
        key_id: String,
        turn: &mut Turn,
    ) -> Result<Issued, IssuerError> {
        let subject = token.subject.claim();
        match self.store.refresh(issue, refresh).await? {
            Refreshed::Done {
                issued,
                family,
                replayed,
            } => {
                // Who rotated it may have had another key.
                let key_id = replayed.map_or(key_id, |record| record.opaque_key_id);
                *turn = Turn::Hold(Held { family, key_id });
                Ok(issued)
            }
            Refreshed::NotIssued(issued) => Ok(issued),
            Refreshed::Gone => Err(IssuerError::InvalidGrant),
            Refreshed::Reused(ended) => {
                telemetry::reused(&application.client_id, &subject, ended.count, ended.revision);
                Err(IssuerError::InvalidGrant)
            }
            Refreshed::TooManyTokens => Err(IssuerError::invalid_field(
                "scopes",
                "this login has as many live tokens of different scopes and audiences as it may: let some of them end",
            )),
        }
    }

    /// The text of the live refresh token.
    pub(super) fn refresh_token(&self, held: &Held) -> Result<IssuedRefreshToken, IssuerError> {
        let Held { family, key_id } = held;
        let text = self
            .opaque_keys
            .derive_refresh(key_id, &family.locator, family.sequence)
            .ok_or_else(|| {
                let problem = "the refresh token was derived with an opaque key that this issuer does not have";
                IssuerError::Unavailable(problem.to_owned())
            })?;
        Ok(IssuedRefreshToken {
            token: SecretString::from(text),
            expires_in: u32::try_from(family.remaining_ms / 1_000).unwrap_or(u32::MAX).max(1),
        })
    }

    pub(super) fn nonce(&self) -> Nonce {
        let mut nonce = [0; 16];
        self.entropy.fill(&mut nonce);
        Nonce(nonce)
    }
}

fn family(application: &Application, token: &Token, subject: &Subject, key_id: &str) -> RefreshFamilyRecord {
    let bound = token.bound.as_ref();
    let mut record = RefreshFamilyRecord {
        client_id: application.client_id.clone(),
        subject: token.subject.claim(),
        scopes: token.scopes.iter().cloned().collect(),
        audiences: token.audiences.iter().cloned().collect(),
        binding_ref: bound.map(|bound| bound.reference.0.to_vec()).unwrap_or_default(),
        certificate_sha256: bound
            .and_then(|bound| bound.certificate_sha256)
            .map(|sha256| sha256.to_vec())
            .unwrap_or_default(),
        opaque_key_id: key_id.to_owned(),
        attributes: subject.attributes.clone(),
        built_in_user: subject.built_in_user,
        ..RefreshFamilyRecord::default()
    };
    record.set_binding_type(claims::binding_type(bound));
    record
}
