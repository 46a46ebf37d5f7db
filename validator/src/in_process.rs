//! The validator inside the service that asks, without a network between.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use tokenbind_index::redis::{ConnectError, RedisOptions};
use tokenbind_index::{IndexError, Namespace, SkewLimits};

use crate::caller::{CallerError, Callers};
use crate::connect;
use crate::engine::Validator;
use crate::facts::{CacheLimits, FactInputs};
use crate::question::{Consistency, Presented, Presenter, Question};
use crate::verdict::Verdict;

/// A validator for a service that judges the tokens of its own callers.
///
/// It answers what the gRPC service answers, by the same rules and from the same index: facts of tokens are kept while Redis
/// tells what changes, policy is evaluated on every call, and what cannot be judged is an error. A process needs one;
/// share it in an [`Arc`](std::sync::Arc). The resources are those that are declared; nobody is asked for a resource's secret,
/// because the service is the resource.
pub struct InProcessValidator {
    facts: FactInputs,
    validator: Validator,
    callers: Callers,
}

/// How long and how much an [`InProcessValidator`] keeps. The defaults are those of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InProcessOptions {
    /// How long what is kept may be used after the index was last heard, 100 ms to 60 s.
    pub lease: Duration,
    /// How much is kept.
    pub cache: CacheLimits,
}

impl Default for InProcessOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(2),
            cache: CacheLimits::default(),
        }
    }
}

/// A request, as far as the validator has to know it.
#[derive(Clone, Debug, Default)]
pub struct GuardedRequest<'a> {
    /// The token as it came; empty when the request has none.
    pub token: Presented<'a>,
    /// Who presents it.
    pub presenter: Presenter<'a>,
    /// If there are any, the token must have been issued to one of these.
    pub expected_client_ids: &'a [String],
    /// All of them must be granted.
    pub required_scopes: &'a [String],
    /// How fresh the answer must be.
    pub consistency: Consistency,
}

/// Why there is no verdict: deny. The text is for the operator's log.
#[derive(Debug, Error)]
pub enum InProcessError {
    /// The resource is not declared.
    #[error("there is no such resource")]
    UnknownResource,
    /// The index cannot be asked (V10).
    #[error(transparent)]
    Unavailable(#[from] IndexError),
}

impl InProcessValidator {
    /// A validator over a Redis. One that is not up yet is waited for; until then every question is
    /// [`InProcessError::Unavailable`].
    ///
    /// Has to be called within a tokio runtime that lives as long as the validator: tasks of it listen to Redis.
    ///
    /// # Errors
    /// The Redis is unfit, or refuses the user; never that it cannot be reached.
    pub async fn connect(redis: &RedisOptions, options: InProcessOptions) -> Result<Self, ConnectError> {
        let facts = connect::over_redis(redis, options.lease, SkewLimits::default(), options.cache).await?;
        Ok(Self::new(facts, redis.namespace.clone()))
    }

    /// A validator over any index, such as the embedded one.
    pub fn new(facts: FactInputs, namespace: Namespace) -> Self {
        Self {
            validator: Validator::new(facts.clone(), namespace),
            callers: Callers::new(&facts, None),
            facts,
        }
    }

    /// Judges a request to a resource.
    ///
    /// # Errors
    /// There is no verdict: deny.
    pub async fn validate(&self, resource_id: &str, request: &GuardedRequest<'_>) -> Result<Verdict, InProcessError> {
        let resource = self.callers.declared(resource_id, request.consistency).await?;
        let question = Question {
            token: request.token,
            resource: &resource,
            presenter: request.presenter.clone(),
            expected_client_ids: request.expected_client_ids,
            required_scopes: request.required_scopes,
            consistency: request.consistency,
        };
        let verdict = self.validator.validate(&question).await;
        verdict.map_err(|unavailable| InProcessError::Unavailable(unavailable.0))
    }

    /// Whether it can judge: it reads the index and hears what changes in it. For the service's readiness.
    ///
    /// # Errors
    /// What is wrong, for the operator's log.
    pub async fn ready(&self) -> Result<(), String> {
        self.facts.probe().await
    }
}

impl fmt::Debug for InProcessValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InProcessValidator").field(&self.validator).finish()
    }
}

impl From<CallerError> for InProcessError {
    fn from(error: CallerError) -> Self {
        match error {
            CallerError::Unavailable(error) => Self::Unavailable(error),
            // The others are about credentials, and there are none.
            CallerError::UnknownResource | CallerError::InvalidClient | CallerError::ForAnother => {
                Self::UnknownResource
            }
        }
    }
}
