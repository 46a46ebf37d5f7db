//! `WatchToken`: the verdict now, and the moment it is no longer.

use std::sync::Arc;
use std::time::Duration;

use tokenbind_index::Stamp;
use tokenbind_proto::answering::WatchTokenResponse;
use tokenbind_proto::v1::{Decision, ValidateTokenRequest};
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tonic::Status;

use super::place::Place;
use super::request::Checked;
use super::{ValidationGrpc, response, status};
use crate::caller::PresentedCredentials;
use crate::resource::Resource;
use crate::verdict::Verdict;
use crate::watch::Disturbance;

/// How many answers a watch has at most.
pub(super) const MAX_ANSWERS: usize = 2;

/// Looks until a verdict holds still. An index that tells of changes faster than it is read cannot be watched.
const MAX_LOOKS: usize = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// What is watched, and by whom.
pub(super) struct Watch {
    pub(super) grpc: ValidationGrpc,
    pub(super) credentials: PresentedCredentials,
    pub(super) request: ValidateTokenRequest,
    pub(super) checked: Checked,
}

/// A verdict, and what it rests on.
struct Look {
    resource: Arc<Resource>,
    verdict: Verdict,
    /// Empty where nothing will be told any more.
    stamps: Option<[Stamp; 4]>,
}

impl Watch {
    /// Answers until the token may not be used, or nobody would know.
    pub(super) async fn run(self, answers: Sender<WatchTokenResponse>) -> Result<(), Status> {
        tokio::select! {
            ended = self.watch(answers) => ended,
            () = self.grpc.calls.stopped() => Err(status::stopping()),
        }
    }

    async fn watch(&self, answers: Sender<WatchTokenResponse>) -> Result<(), Status> {
        let mut told = false;
        loop {
            let look = self.look().await?;
            let Some(stamps) = look.stamps else {
                return self.tell(&look, &answers).await;
            };
            if !std::mem::replace(&mut told, true) {
                self.tell(&look, &answers).await?;
            }
            let ends_at_us = look.verdict.token.as_deref().map_or(0, |token| token.ends_at_us());
            if self.grpc.calls.disturbed(&stamps, ends_at_us).await == Disturbance::Unheard {
                return Err(status::unheard());
            }
        }
    }

    async fn tell(&self, look: &Look, answers: &Sender<WatchTokenResponse>) -> Result<(), Status> {
        let question = self.checked.clone().question(&self.request, &look.resource);
        self.grpc.validator.answered(&question, &look.verdict);
        let answer = WatchTokenResponse {
            response: Some(response::validated(look.verdict.clone())),
        };
        // An error says that nobody takes it any more; then this ends as well.
        let _ = answers.send(answer).await;
        Ok(())
    }

    /// A verdict with stamps that are not younger than it: whatever changes after it makes one of them old.
    async fn look(&self) -> Result<Look, Status> {
        let mut stamps = None;
        for _ in 0..MAX_LOOKS {
            let (resource, verdict) = self.judge().await?;
            if verdict.decision() != Decision::Allow {
                return Ok(Look {
                    resource,
                    verdict,
                    stamps: None,
                });
            }
            let current = self.stamps(&resource, &verdict).await?;
            if stamps == Some(current) {
                return Ok(Look {
                    resource,
                    verdict,
                    stamps,
                });
            }
            // What changed before they were taken is only seen by looking again.
            if stamps.replace(current).is_some() {
                sleep(PAUSE).await;
            }
        }
        Err(status::unheard())
    }

    async fn judge(&self) -> Result<(Arc<Resource>, Verdict), Status> {
        let grpc = &self.grpc;
        let caller = grpc.callers.verify(&self.credentials).await;
        let caller = caller.map_err(|error| status::caller(&error))?;
        let resource = grpc
            .callers
            .resource(&caller, &self.request.resource, self.checked.consistency())
            .await
            .map_err(|error| status::about(&error, Place::Field))?;
        let question = self.checked.clone().question(&self.request, &resource);
        let verdict = grpc.validator.judge(&question).await;
        let verdict = verdict.map_err(|error| status::unavailable(&error))?;
        Ok((resource, verdict))
    }

    async fn stamps(&self, resource: &Resource, verdict: &Verdict) -> Result<[Stamp; 4], Status> {
        let Some(token) = verdict.token.as_deref().filter(|_| self.grpc.calls.is_heard()) else {
            return Err(status::unheard());
        };
        let question = self.checked.clone().question(&self.request, resource);
        let stamps = self.grpc.validator.stamps(&question, token).await;
        let [token, application, key] = stamps.map_err(|_| status::unheard())?;
        let resource = self.grpc.callers.stamp(resource.id()).await;
        Ok([token, application, key, resource.map_err(|_| status::unheard())?])
    }
}
