//! `tokenbind.v1.ValidationService`.

mod answers;
mod facts;
mod place;
mod request;
mod response;
mod status;
mod stream;
mod watch;

use std::ops::Deref;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use tokenbind_proto::answering::validation_service_server::ValidationService;
use tokenbind_proto::answering::{
    StreamValidateResponse, ValidateTokenResponse, ValidateTokensResponse, WatchTokenResponse,
};
use tokenbind_proto::v1::{
    IntrospectTokenRequest, IntrospectTokenResponse, StreamValidateRequest, ValidateTokenRequest,
    ValidateTokensRequest, WatchTokenRequest,
};
use tokenbind_runtime::credentials::{self, Credentials};
use tokenbind_runtime::tls::PeerCertificate;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, Streaming};

use crate::caller::{Caller, CallerError, Callers, PresentedCredentials};
use crate::engine::Validator;
use crate::facts::Moment;
use crate::introspect::introspect;
use crate::question::{Consistency, Presented};
use crate::remembered::AuthorizationDigest;
use crate::watch::OpenCalls;
pub use answers::Answers;
use place::Place;
use request::Checked;
pub(crate) use response::introspected;
#[cfg(test)]
pub(crate) use stream::MAX_OPEN;
use watch::Watch;

/// How many questions of one batch wait for the index at the same time.
const BATCH_CONCURRENCY: usize = 64;

/// The service.
#[derive(Clone)]
pub struct ValidationGrpc {
    validator: Arc<Validator>,
    callers: Callers,
    calls: OpenCalls,
}

impl ValidationGrpc {
    /// Answers these callers.
    pub fn new(validator: Arc<Validator>, callers: Callers, calls: OpenCalls) -> Self {
        Self {
            validator,
            callers,
            calls,
        }
    }

    /// The credentials of a caller that stays, which are good.
    pub(crate) async fn standing(&self, metadata: &MetadataMap, extensions: &Extensions) -> Result<Standing, Status> {
        let value = authorization(metadata)?;
        if let Some(credentials) = certificate(value, extensions) {
            let presented = self.callers.presented(Some(&credentials));
            let presented = presented.map_err(|error| status::caller(&error))?;
            let verified = self.callers.verify(&presented).await;
            verified.map_err(|error| status::caller(&error))?;
            // Never recalled by what `authorization` says: that alone proves nothing.
            return Ok(Standing {
                presented,
                digest: None,
            });
        }
        let verified = self.callers.identify_by(value).await;
        verified.map_err(|error| status::caller(&error))?;
        let credentials = credentials(metadata)?;
        let presented = self.callers.presented(credentials.as_ref());
        Ok(Standing {
            presented: presented.map_err(|error| status::caller(&error))?,
            digest: value.map(AuthorizationDigest::of),
        })
    }

    /// Who a caller that stays is now, if nothing has to be waited for to say so.
    fn recall(&self, standing: &Standing, moment: Moment) -> Option<Caller> {
        self.callers.recall(standing.digest.as_ref()?, moment)
    }

    async fn identify<T>(&self, request: &Request<T>, moment: Moment) -> Result<Caller, Status> {
        let value = authorization(request.metadata())?;
        let caller = match certificate(value, request.extensions()) {
            Some(credentials) => Box::pin(self.callers.identify(Some(&credentials))).await,
            None => self.callers.identify_at(value, moment).await,
        };
        caller.map_err(|error| status::caller(&error))
    }

    /// The answer from what is kept, or, where the index has to be asked, the question as it was.
    fn answer_kept(
        &self,
        caller: &Caller,
        request: &ValidateTokenRequest,
        checked: Checked,
        place: Place,
        moment: Moment,
    ) -> Result<Answer, Status> {
        let resource = Callers::own(caller, &request.resource, checked.consistency());
        let Some(resource) = resource.map_err(|error| status::about(&error, place))? else {
            return Ok(Answer::Open(checked));
        };
        let question = checked.question(request, resource);
        Ok(match self.validator.validate_at(&question, moment) {
            Some(verdict) => Answer::Given(response::validated(verdict)),
            None => Answer::Open(Checked::again(question)),
        })
    }

    /// The answer to one question of a batch, and its place there.
    async fn element(
        &self,
        caller: &Caller,
        index: usize,
        request: &ValidateTokenRequest,
        checked: Checked,
    ) -> Result<(usize, ValidateTokenResponse), Status> {
        let answer = self.answer(caller, request, checked, Place::Element(index));
        Ok((index, answer.await?))
    }

    /// The answer, whatever has to be waited for.
    async fn answer(
        &self,
        caller: &Caller,
        request: &ValidateTokenRequest,
        checked: Checked,
        place: Place,
    ) -> Result<ValidateTokenResponse, Status> {
        let consistency = checked.consistency();
        let resource = || self.callers.resource(caller, &request.resource, consistency);
        if consistency == Consistency::MinimizeLatency || request.token.is_empty() {
            let resource = resource().await.map_err(|error| status::about(&error, place))?;
            let question = checked.question(request, &resource);
            let verdict = self.validator.validate(&question).await;
            return Ok(response::validated(
                verdict.map_err(|error| status::unavailable(&error))?,
            ));
        }
        let moment = self.validator.moment_for(consistency).await;
        if let Some(resource) = self.callers.kept(caller, &request.resource) {
            let question = checked.clone().question(request, &resource);
            if let Some(verdict) = self.validator.validate_at(&question, moment) {
                return Ok(response::validated(verdict));
            }
        }
        // Both are read now: at the same time.
        let facts = self.validator.look_up(Presented(&request.token), consistency);
        let (resource, facts) = futures::join!(resource(), facts);
        let resource = resource.map_err(|error| status::about(&error, place))?;
        let question = checked.question(request, &resource);
        let verdict = self.validator.conclude(&question, facts);
        let verdict = verdict.map_err(|error| status::unavailable(&error))?;
        self.validator.answered(&question, &verdict);
        Ok(response::validated(verdict))
    }
}

/// A caller that stays, and whose credentials are looked at again and again.
pub(crate) struct Standing {
    presented: PresentedCredentials,
    digest: Option<AuthorizationDigest>,
}

/// What can be said at once.
enum Answer {
    Given(ValidateTokenResponse),
    /// Nothing: the index has to be asked.
    Open(Checked),
}

#[tonic::async_trait]
impl ValidationService for ValidationGrpc {
    async fn validate_token(
        &self,
        request: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        let moment = self.validator.moment();
        let caller = self.identify(&request, moment).await?;
        let request = request.into_inner();
        let checked = request::check_one(&request)?;
        match self.answer_kept(&caller, &request, checked, Place::Whole, moment)? {
            Answer::Given(response) => Ok(Response::new(response)),
            // Apart, so that an answer at once does not pay for the room that waiting would take.
            Answer::Open(checked) => Box::pin(self.answer(&caller, &request, checked, Place::Whole))
                .await
                .map(Response::new),
        }
    }

    async fn validate_tokens(
        &self,
        request: Request<ValidateTokensRequest>,
    ) -> Result<Response<ValidateTokensResponse>, Status> {
        let caller = self.identify(&request, self.validator.moment()).await?;
        let requests = request.into_inner().requests;
        let checked = request::check_batch(&requests)?;
        let mut responses = Vec::with_capacity(requests.len());
        let mut open = Vec::new();
        for (index, (request, checked)) in requests.iter().zip(checked).enumerate() {
            // Many tokens are hashed; they must not keep a thread from everybody else.
            tokio::task::consume_budget().await;
            let moment = self.validator.moment();
            responses.push(
                match self.answer_kept(&caller, request, checked, Place::Element(index), moment)? {
                    Answer::Given(response) => response,
                    Answer::Open(checked) => {
                        open.push(self.element(&caller, index, request, checked));
                        ValidateTokenResponse::default()
                    }
                },
            );
        }
        let mut asked = futures::stream::iter(open).buffer_unordered(BATCH_CONCURRENCY);
        while let Some((index, response)) = asked.try_next().await? {
            if let Some(place) = responses.get_mut(index) {
                *place = response;
            }
        }
        drop(asked);
        Ok(Response::new(ValidateTokensResponse { responses }))
    }

    type StreamValidateStream = Answers<StreamValidateResponse>;

    async fn stream_validate(
        &self,
        request: Request<Streaming<StreamValidateRequest>>,
    ) -> Result<Response<Self::StreamValidateStream>, Status> {
        let caller = self.standing(request.metadata(), request.extensions()).await?;
        let admitted = self.calls.admit_stream().ok_or_else(|| status::too_many("streams"))?;
        let (grpc, questions) = (self.clone(), request.into_inner());
        let answers = Answers::of(stream::MAX_OPEN, |answers| async move {
            let _admitted = admitted;
            grpc.answer_all(caller, questions, answers).await
        });
        Ok(Response::new(answers))
    }

    type WatchTokenStream = Answers<WatchTokenResponse>;

    async fn watch_token(
        &self,
        request: Request<WatchTokenRequest>,
    ) -> Result<Response<Self::WatchTokenStream>, Status> {
        let credentials = self.standing(request.metadata(), request.extensions()).await?.presented;
        let request = request.into_inner().request;
        let (_, checked) = request::check_field(request.as_ref())?;
        let admitted = self.calls.admit_watch().ok_or_else(|| status::too_many("watches"))?;
        let watch = Watch {
            grpc: self.clone(),
            credentials,
            request: request.unwrap_or_default(),
            checked,
        };
        let answers = Answers::of(watch::MAX_ANSWERS, |answers| async move {
            let _admitted = admitted;
            watch.run(answers).await
        });
        Ok(Response::new(answers))
    }

    async fn introspect_token(
        &self,
        request: Request<IntrospectTokenRequest>,
    ) -> Result<Response<IntrospectTokenResponse>, Status> {
        let credentials = Credentials::from_metadata(request.metadata());
        let credentials = credentials.map(|found| found.map(|found| found.or_certificate(request.extensions())));
        let told = introspect(&self.validator, &self.callers, credentials, request.get_ref()).await;
        let told = told.map_err(status::introspection)?;
        Ok(Response::new(introspected(told.token.as_deref().map(Deref::deref))))
    }
}

fn authorization(metadata: &MetadataMap) -> Result<Option<&[u8]>, Status> {
    credentials::presented(metadata).map_err(|_| status::caller(&CallerError::InvalidClient))
}

fn credentials(metadata: &MetadataMap) -> Result<Option<Credentials>, Status> {
    Credentials::from_metadata(metadata).map_err(|_| status::caller(&CallerError::InvalidClient))
}

/// The certificate of the connection, where there is one and `authorization` says without a secret whose it is to be.
fn certificate(authorization: Option<&[u8]>, extensions: &Extensions) -> Option<Credentials> {
    PeerCertificate::of(extensions)?;
    let credentials = Credentials::parse(authorization?).ok()?.or_certificate(extensions);
    matches!(credentials, Credentials::Certificate { .. }).then_some(credentials)
}
