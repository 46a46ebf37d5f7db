//! `tokenbind.v1.ValidationService`.

mod request;
mod response;
mod status;

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokenbind_proto::v1::validation_service_server::ValidationService;
use tokenbind_proto::v1::{
    IntrospectTokenRequest, IntrospectTokenResponse, ValidateTokenRequest, ValidateTokenResponse,
    ValidateTokensRequest, ValidateTokensResponse,
};
use tokenbind_runtime::credentials::Credentials;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::caller::{Caller, CallerError, Callers};
use crate::engine::Validator;
use crate::question::Presented;
use request::Checked;

/// How many questions of one batch wait for the index at the same time.
const BATCH_CONCURRENCY: usize = 64;

/// The service.
#[derive(Clone)]
pub struct ValidationGrpc {
    validator: Arc<Validator>,
    callers: Callers,
}

impl ValidationGrpc {
    /// Answers these callers.
    pub fn new(validator: Arc<Validator>, callers: Callers) -> Self {
        Self { validator, callers }
    }

    async fn identify(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let credentials = credentials(metadata)?;
        self.callers
            .identify(credentials.as_ref())
            .await
            .map_err(|error| status::caller(&error))
    }

    async fn answer(
        &self,
        caller: &Caller,
        request: &ValidateTokenRequest,
        checked: Checked,
        element: Option<usize>,
    ) -> Result<ValidateTokenResponse, Status> {
        let resource = self
            .callers
            .resource(caller, &request.resource, checked.consistency())
            .await
            .map_err(|error| status::about(&error, element))?;
        let question = checked.question(request, &resource);
        let verdict = self
            .validator
            .validate(&question)
            .await
            .map_err(|error| status::unavailable(&error))?;
        Ok(response::validated(&verdict))
    }
}

#[tonic::async_trait]
impl ValidationService for ValidationGrpc {
    async fn validate_token(
        &self,
        request: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        let caller = self.identify(request.metadata()).await?;
        let checked = request::check_one(request.get_ref())?;
        self.answer(&caller, request.get_ref(), checked, None)
            .await
            .map(Response::new)
    }

    async fn validate_tokens(
        &self,
        request: Request<ValidateTokensRequest>,
    ) -> Result<Response<ValidateTokensResponse>, Status> {
        let caller = self.identify(request.metadata()).await?;
        let requests = request.into_inner().requests;
        let checked = request::check_batch(&requests)?;
        let answers = requests.into_iter().zip(checked).enumerate();
        let answers = answers.map(|(index, (request, checked))| {
            let caller = &caller;
            async move {
                // Signatures are checked between the reads; a batch of them must not keep a thread from everybody else.
                tokio::task::consume_budget().await;
                self.answer(caller, &request, checked, Some(index)).await
            }
        });
        let responses = stream::iter(answers).buffered(BATCH_CONCURRENCY).try_collect().await?;
        Ok(Response::new(ValidateTokensResponse { responses }))
    }

    async fn introspect_token(
        &self,
        request: Request<IntrospectTokenRequest>,
    ) -> Result<Response<IntrospectTokenResponse>, Status> {
        let credentials = credentials(request.metadata())?;
        let caller = self
            .callers
            .authenticate(credentials.as_ref())
            .await
            .map_err(|error| status::caller(&error))?;
        let request = request.get_ref();
        request::check_introspection(request)?;
        let active = self.validator.introspect(Presented(&request.token), &caller).await;
        let active = active.map_err(|error| status::unavailable(&error))?;
        Ok(Response::new(response::introspected(active.as_deref())))
    }
}

fn credentials(metadata: &MetadataMap) -> Result<Option<Credentials>, Status> {
    Credentials::from_metadata(metadata).map_err(|_| status::caller(&CallerError::InvalidClient))
}
