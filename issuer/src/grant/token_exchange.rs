//! A token for the subject of another one (RFC 8693).

use std::collections::BTreeSet;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::{BindingValue, Subject};
use tokenbind_jose::Act;
use tokenbind_proto::v1::{Actor, GrantType};

use super::{Authorization, Dependency, Grant, Limits, Login, user};
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::issue::leaves_time;
use crate::live_token::LiveToken;
use crate::trust::{PartyRef, Purpose, Refusal, Trust};

const SUBJECT: &str = "token_exchange.subject_token";
const ACTOR: &str = "token_exchange.actor_token";

/// A token that was shown, and what kind it is said to be.
#[derive(Clone, Debug)]
pub struct ShownToken {
    /// The token.
    pub token: SecretString,
    /// Whether it may be of a trusted issuer; otherwise it is an access token of ours.
    pub may_be_external: bool,
}

/// A request of the grant.
#[derive(Clone, Debug)]
pub struct TokenExchange {
    /// Who the result speaks for.
    pub subject: ShownToken,
    /// Who acts for it.
    pub actor: Option<ShownToken>,
    /// What came with the request that could prove a binding.
    pub presented: Vec<BindingValue>,
}

/// A token that was proven.
enum Proven<'a> {
    Issued {
        token: Box<LiveToken>,
        bound: Option<BindingValue>,
    },
    External {
        trusted_issuer: &'a str,
        subject: String,
        issuer: String,
        expires_at: u64,
    },
}

impl Proven<'_> {
    fn party(&self) -> PartyRef<'_> {
        match self {
            Self::Issued { token, .. } => PartyRef::Issued(&token.client_id),
            Self::External {
                trusted_issuer,
                subject,
                ..
            } => PartyRef::External {
                trusted_issuer,
                subject,
            },
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Issued { token, .. } => token.subject.clone(),
            Self::External {
                trusted_issuer,
                subject,
                ..
            } => Subject::external(trusted_issuer, subject),
        }
    }

    fn ends_at_us(&self) -> u64 {
        match self {
            Self::Issued { token, .. } => token.ends_at_us,
            Self::External { expires_at, .. } => expires_at.saturating_mul(1_000_000),
        }
    }

    fn act(&self) -> Option<&Actor> {
        match self {
            Self::Issued { token, .. } => token.act.as_ref(),
            Self::External { .. } => None,
        }
    }

    fn bound(&self) -> Option<&BindingValue> {
        match self {
            Self::Issued { bound, .. } => bound.as_ref(),
            Self::External { .. } => None,
        }
    }

    fn dependency(&self, shown: &ShownToken, field: &'static str) -> Option<Dependency> {
        match self {
            Self::Issued { token, .. } => Some(Dependency {
                token: shown.token.clone(),
                locator: token.locator,
                field,
            }),
            Self::External { .. } => None,
        }
    }

    /// Whatever bounds the result beside the policy: another issuer's scopes and audiences are not in our words.
    fn limits(&self, scopes: &[String], audiences: &[String]) -> Limits {
        let (scopes, audiences): (BTreeSet<_>, BTreeSet<_>) =
            (scopes.iter().cloned().collect(), audiences.iter().cloned().collect());
        match self {
            Self::Issued { token, .. } => Limits {
                scopes: scopes.intersection(&token.scopes).cloned().collect(),
                audiences: audiences.intersection(&token.audiences).cloned().collect(),
            },
            Self::External { .. } => Limits { scopes, audiences },
        }
    }
}

#[async_trait]
impl Grant for TokenExchange {
    fn grant_type(&self) -> GrantType {
        GrantType::TokenExchange
    }

    async fn authorize(&self, issuer: &Issuer, application: &Application) -> Result<Authorization, IssuerError> {
        let trust = issuer.trust.now();
        let subject = self.prove(issuer, &trust, &self.subject, SUBJECT).await?;
        let actor = match &self.actor {
            Some(shown) => Some(self.prove(issuer, &trust, shown, ACTOR).await?),
            None => None,
        };
        let by = actor.as_ref().map(Proven::party);
        let policy = trust.policy(GrantType::TokenExchange, &application.client_id, subject.party(), by);
        let policy = policy.ok_or_else(|| refused(SUBJECT, "no policy allows the exchange"))?;
        let act = acting(issuer, &subject, actor.as_ref())?;
        let limits = subject.limits(&policy.scopes, &policy.audiences);
        // Whoever acts does so no longer than it may itself.
        let ends_at_us = subject
            .ends_at_us()
            .min(actor.as_ref().map_or(u64::MAX, Proven::ends_at_us));
        if !leaves_time(ends_at_us, issuer.clock.now_us()) {
            return Err(refused(SUBJECT, "it, or the actor token, has less than a second left"));
        }
        let judged = user::judge(issuer, &subject.subject()).await?;
        let judged = judged.ok_or_else(|| refused(SUBJECT, "its user is gone or disabled"))?;
        let actor_dependency = actor
            .as_ref()
            .zip(self.actor.as_ref())
            .and_then(|(proven, shown)| proven.dependency(shown, ACTOR));
        Ok(Authorization {
            subject: subject.subject(),
            scopes: Some(limits.scopes),
            audiences: Some(limits.audiences),
            attributes: judged.attributes,
            user_version: judged.version,
            act,
            ends_at_us: Some(ends_at_us),
            bound_to: subject.bound().or(actor.as_ref().and_then(Proven::bound)).cloned(),
            depends_on: subject
                .dependency(&self.subject, SUBJECT)
                .into_iter()
                .chain(actor_dependency)
                .collect(),
            // It would outlive the subject token.
            login: Login::None,
        })
    }
}

impl TokenExchange {
    async fn prove<'a>(
        &self,
        issuer: &Issuer,
        trust: &'a Trust,
        shown: &ShownToken,
        field: &'static str,
    ) -> Result<Proven<'a>, IssuerError> {
        let text = shown.token.expose_secret();
        if let Some(token) = issuer.live_token(text).await? {
            let bound = token
                .binding
                .proven_by(&issuer.namespace, &token.client_id, &self.presented)
                .map_err(|()| refused(field, "it is bound, and its binding is not proven"))?;
            return Ok(Proven::Issued {
                token: Box::new(token),
                bound,
            });
        }
        if !shown.may_be_external {
            return Err(refused(field, "it is no live token of ours"));
        }
        let vouched = trust.vouched(text, &issuer.issuer_url, Purpose::Exchange).await;
        let vouched = vouched.map_err(|refusal| match refusal {
            Refusal::Invalid(why) => refused(field, why),
            Refusal::Unreachable(why) => IssuerError::Unavailable(why),
        })?;
        Ok(Proven::External {
            trusted_issuer: vouched.trusted_issuer,
            subject: vouched.assertion.subject,
            issuer: vouched.assertion.issuer,
            expires_at: vouched.assertion.expires_at,
        })
    }
}

/// Who acts, with those who acted before behind it. Without an actor token an earlier delegation stays what it was.
fn acting(issuer: &Issuer, subject: &Proven<'_>, actor: Option<&Proven<'_>>) -> Result<Option<Actor>, IssuerError> {
    let before = subject.act().cloned();
    let Some(actor) = actor else {
        return Ok(before);
    };
    if actor.act().is_some() {
        // Whom it acts for would be lost.
        return Err(refused(ACTOR, "it is itself delegated"));
    }
    let act = Actor {
        subject: actor.subject().claim(),
        issuer: match actor {
            Proven::Issued { .. } => issuer.issuer_url.to_string(),
            Proven::External { issuer, .. } => issuer.clone(),
        },
        actor: before.map(Box::new),
    };
    if Act::depth(&act) > Act::MAX_DEPTH {
        return Err(refused(ACTOR, "too many have acted before"));
    }
    Ok(Some(act))
}

/// One answer for whatever was wrong with a token, also where a policy refuses it (RFC 8693, section 2.2.2); the log knows more.
pub(super) fn refused(field: &str, why: &'static str) -> IssuerError {
    tracing::debug!(field, why, "a token is not exchanged");
    IssuerError::invalid_field(field, "is not valid, or may not be exchanged by this application")
}
