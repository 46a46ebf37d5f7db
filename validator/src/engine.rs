//! The validator itself: facts, liveness and policy, in this order.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use thiserror::Error;
use tokenbind_index::{Clock, IndexError, Namespace, Stamp};
use tokenbind_proto::v1::Reason;

use crate::facts::{FactInputs, FactSource, Facts, KnownToken, Moment, NoFacts, TokenFacts};
use crate::observe::Observer;
use crate::question::{Consistency, Presented, Question};
use crate::resource::Resource;
use crate::verdict::{Freshness, Verdict, challenge};
use crate::{liveness, policy};

/// The question cannot be answered, because the index cannot be asked: deny (V10). The text is for the operator's log.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Unavailable(#[from] pub IndexError);

/// Judges tokens. It keeps no verdict: each call is judged by what holds now (V13).
pub struct Validator {
    facts: FactSource,
    clock: Arc<dyn Clock>,
    tenant: Namespace,
    observer: Observer,
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Validator");
        debug.field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Validator {
    /// A validator over an index of this namespace. Metrics are counted with the recorder that is installed by now.
    pub fn new(inputs: FactInputs, namespace: Namespace) -> Self {
        Self {
            clock: Arc::clone(&inputs.clock),
            facts: FactSource::new(inputs),
            tenant: namespace,
            observer: Observer::new(),
        }
    }

    /// Answers a question.
    ///
    /// # Errors
    /// The index cannot be asked.
    pub async fn validate(&self, question: &Question<'_>) -> Result<Verdict, Unavailable> {
        if let Some(verdict) = self.validate_kept(question) {
            return Ok(verdict);
        }
        // Apart, so that an answer at once does not pay for the room that waiting would take.
        let verdict = Box::pin(self.judge(question)).await?;
        self.answered(question, &verdict);
        Ok(verdict)
    }

    /// Answers a question from what is kept, without waiting for anything. `None` says that the index has to be asked, and
    /// nothing of the token: [`Self::validate`] does that.
    pub fn validate_kept(&self, question: &Question<'_>) -> Option<Verdict> {
        self.validate_at(question, self.moment())
    }

    pub(crate) fn validate_at(&self, question: &Question<'_>, moment: Moment) -> Option<Verdict> {
        let facts = self.facts.kept(question.token.0, question.consistency, moment)?;
        let verdict = self.judge_facts(facts, question, moment.at_us);
        self.answered(question, &verdict);
        Some(verdict)
    }

    /// The present as a question wants it.
    pub(crate) async fn moment_for(&self, consistency: Consistency) -> Moment {
        self.facts.moment_for(consistency).await
    }

    /// The present, for one call.
    pub(crate) fn moment(&self) -> Moment {
        self.facts.moment()
    }

    /// Counts and logs a verdict of [`Self::judge`] that is going to be told.
    pub(crate) fn answered(&self, question: &Question<'_>, verdict: &Verdict) {
        self.observer.validated(question, verdict);
    }

    /// Stamps that turn old with the next change of the facts of a token, which was judged before.
    pub(crate) async fn stamps(&self, question: &Question<'_>, token: &TokenFacts) -> Result<[Stamp; 3], Unavailable> {
        Ok(self.facts.stamps(question.token.0, token).await?)
    }

    /// The facts of a token, if it is live and meant for the caller (RFC 7662, section 2.2; V12).
    ///
    /// Who presents the token is no part of the question, so the rules of policy beyond the audience are not applied: the
    /// answer says what the token is, not whether a request may use it.
    ///
    /// # Errors
    /// The index cannot be asked.
    pub async fn introspect(
        &self,
        token: Presented<'_>,
        caller: &Resource,
    ) -> Result<Option<Arc<KnownToken>>, Unavailable> {
        let live = match self.facts.resolve(token.0, Consistency::MinimizeLatency).await {
            Ok(facts) => liveness::refusal(&facts, self.clock.now_us())
                .is_none()
                .then_some(facts.token),
            Err(NoFacts::Refused { .. }) => None,
            Err(NoFacts::Unavailable(error)) => return Err(error.into()),
        };
        let active = live.filter(|token| !token.grant.client_id.is_empty() && caller.is_among(&token.grant.audiences));
        self.observer.introspected(caller, active.as_deref().map(Deref::deref));
        Ok(active)
    }

    pub(crate) async fn judge(&self, question: &Question<'_>) -> Result<Verdict, Unavailable> {
        if question.token.0.is_empty() {
            let freshness = Freshness::of_token(self.clock.now_us());
            return Ok(refused(Reason::TokenMissing, question, freshness));
        }
        let allow_stale_us = question.resource.allow_stale_us();
        let facts = self
            .facts
            .resolve_or_last_known(question.token.0, question.consistency, allow_stale_us);
        self.conclude(question, facts.await)
    }

    /// What is known of a token whose question is asked at the same time.
    pub(crate) async fn look_up(&self, token: Presented<'_>, consistency: Consistency) -> Result<Facts, NoFacts> {
        self.facts.resolve(token.0, consistency).await
    }

    /// The verdict from what was found.
    pub(crate) fn conclude(
        &self,
        question: &Question<'_>,
        found: Result<Facts, NoFacts>,
    ) -> Result<Verdict, Unavailable> {
        match found {
            Ok(facts) => Ok(self.judge_facts(facts, question, self.clock.now_us())),
            Err(NoFacts::Refused { reason, freshness }) => Ok(refused(reason, question, freshness)),
            Err(NoFacts::Unavailable(error)) => Err(error.into()),
        }
    }

    /// What is done on every call, wherever the facts came from.
    fn judge_facts(&self, facts: Facts, question: &Question<'_>, now_us: u64) -> Verdict {
        if let Some(reason) = liveness::refusal(&facts, now_us) {
            return refused(reason, question, facts.freshness);
        }
        let reason = policy::judge(&facts, question, &self.tenant);
        Verdict {
            // A resource learns nothing of a token that is not for it.
            token: (reason != Reason::AudienceMismatch).then_some(facts.token),
            www_authenticate: challenge(reason, question),
            reason,
            freshness: facts.freshness,
        }
    }
}

fn refused(reason: Reason, question: &Question<'_>, freshness: Freshness) -> Verdict {
    Verdict {
        reason,
        token: None,
        www_authenticate: challenge(reason, question),
        freshness,
    }
}
