//! The bare service that everything is compared with: tonic, the same messages in and out, and nothing between.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::future::{BoxFuture, Ready, ready};
use futures::stream::BoxStream;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tokenbind_proto::v1::{
    IntrospectTokenRequest, IntrospectTokenResponse, IssueTokenRequest, IssueTokenResponse, StreamValidateRequest,
    StreamValidateResponse, ValidateTokenRequest, ValidateTokenResponse, ValidateTokensRequest, ValidateTokensResponse,
};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service;

use super::failed;
use super::workload::{BATCH, INTROSPECT, ISSUE, STREAM, VALIDATE};
use crate::error::CliError;

/// The answer that it gives, encoded, to the calls of one method.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Canned {
    pub(super) path: String,
    pub(super) answer: Vec<u8>,
}

/// Serves it until the process ends.
pub(super) async fn serve(listener: TcpListener, canned: Canned) -> Result<(), CliError> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let answer = canned.answer.as_slice();
    match canned.path.as_str() {
        VALIDATE => serve_one::<ValidateTokenRequest, ValidateTokenResponse, false>(incoming, answer).await,
        BATCH => serve_one::<ValidateTokensRequest, ValidateTokensResponse, false>(incoming, answer).await,
        INTROSPECT => serve_one::<IntrospectTokenRequest, IntrospectTokenResponse, false>(incoming, answer).await,
        ISSUE => serve_one::<IssueTokenRequest, IssueTokenResponse, true>(incoming, answer).await,
        STREAM => serve_streams(incoming, answer).await,
        other => Err(failed(format_args!("no bare service for {other}"))),
    }
}

async fn serve_one<In, Out, const ISSUES: bool>(incoming: TcpIncoming, answer: &[u8]) -> Result<(), CliError>
where
    In: prost::Message + Default + 'static,
    Out: prost::Message + Default + Clone + 'static,
{
    let echo = Echo::<In, Out, ISSUES> {
        answer: Arc::new(Out::decode(answer).map_err(failed)?),
        request: PhantomData,
    };
    let server = Server::builder().add_service(echo);
    server.serve_with_incoming(incoming).await.map_err(failed)
}

async fn serve_streams(incoming: TcpIncoming, answer: &[u8]) -> Result<(), CliError> {
    let echo = StreamEcho(StreamValidateResponse::decode(answer).map_err(failed)?);
    let server = Server::builder().add_service(echo);
    server.serve_with_incoming(incoming).await.map_err(failed)
}

/// Answers the same to every request.
struct Echo<In, Out, const ISSUES: bool> {
    answer: Arc<Out>,
    request: PhantomData<fn(In)>,
}

impl<In, Out, const ISSUES: bool> Clone for Echo<In, Out, ISSUES> {
    fn clone(&self) -> Self {
        Self {
            answer: Arc::clone(&self.answer),
            request: PhantomData,
        }
    }
}

impl<In, Out, const ISSUES: bool> NamedService for Echo<In, Out, ISSUES> {
    const NAME: &'static str = if ISSUES {
        "tokenbind.v1.TokenService"
    } else {
        "tokenbind.v1.ValidationService"
    };
}

/// As tonic generates it.
impl<In, Out, const ISSUES: bool> Service<http::Request<Body>> for Echo<In, Out, ISSUES>
where
    In: prost::Message + Default + 'static,
    Out: prost::Message + Default + Clone + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Out, In>::default());
            Ok(grpc.unary(method, request).await)
        })
    }
}

impl<In, Out, const ISSUES: bool> UnaryService<In> for Echo<In, Out, ISSUES>
where
    In: Send + 'static,
    Out: Clone + Send + Sync + 'static,
{
    type Response = Out;
    type Future = Ready<Result<Response<Out>, Status>>;

    fn call(&mut self, _: Request<In>) -> Self::Future {
        ready(Ok(Response::new(Out::clone(&self.answer))))
    }
}

/// Answers the same to every question of a stream, with its number.
#[derive(Clone)]
struct StreamEcho(StreamValidateResponse);

impl NamedService for StreamEcho {
    const NAME: &'static str = "tokenbind.v1.ValidationService";
}

/// As tonic generates it.
impl Service<http::Request<Body>> for StreamEcho {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<StreamValidateResponse, StreamValidateRequest>::default());
            Ok(grpc.streaming(method, request).await)
        })
    }
}

impl StreamingService<StreamValidateRequest> for StreamEcho {
    type Response = StreamValidateResponse;
    type ResponseStream = BoxStream<'static, Result<StreamValidateResponse, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<StreamValidateRequest>>) -> Self::Future {
        let canned = self.0.clone();
        let answers = request.into_inner().map(move |question| {
            Ok(StreamValidateResponse {
                correlation_id: question?.correlation_id,
                ..canned.clone()
            })
        });
        ready(Ok(Response::new(answers.boxed())))
    }
}
