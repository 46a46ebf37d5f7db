//! What a service does with a request before it does anything else.

use std::sync::Arc;

use tokenbind_index::redis::{ConnectError, RedisOptions};
use tokenbind_index::{BindingIdTooLong, Namespace};
use tokenbind_proto::v1::Decision;
use tokenbind_validator::facts::KnownToken;
use tokenbind_validator::{GuardedRequest, InProcessOptions, InProcessValidator, Presented, Presenter};

/// Once, when the service starts.
pub(crate) async fn connect(redis_url: String) -> Result<InProcessValidator, ConnectError> {
    let redis = RedisOptions::new(redis_url.into(), Namespace::default());
    InProcessValidator::connect(&redis, InProcessOptions::default()).await
}

/// What to answer instead of what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u32,
    pub(crate) www_authenticate: String,
}

/// For each request: its header `authorization`, and the device that it says it comes from.
pub(crate) async fn guard(
    validator: &InProcessValidator,
    authorization: &str,
    device: &str,
) -> Result<Arc<KnownToken>, Refusal> {
    let request = GuardedRequest {
        token: Presented(authorization.strip_prefix("Bearer ").unwrap_or_default()),
        presenter: Presenter::with_binding_id(device).map_err(|BindingIdTooLong| refusal(400, ""))?,
        ..GuardedRequest::default()
    };
    // Without a verdict the answer is no.
    let verdict = validator.validate("orders-api", &request).await;
    let verdict = verdict.map_err(|_| refusal(503, ""))?;
    match (verdict.decision(), verdict.token.clone()) {
        (Decision::Allow, Some(token)) => Ok(token),
        _ => Err(refusal(verdict.http_status(), &verdict.www_authenticate)),
    }
}

fn refusal(status: u32, www_authenticate: &str) -> Refusal {
    Refusal {
        status,
        www_authenticate: www_authenticate.to_owned(),
    }
}
