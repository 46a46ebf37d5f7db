//! What every RPC passes through: observation, limits, and a net under panics.

mod call;
mod deadline;
mod limits;
mod methods;

pub(crate) use limits::Limits;
pub(crate) use methods::Methods;

use call::{AnswerBody, Call};
use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{Status, body::Body, service::Routes};
use tower::Service;
use tracing::Instrument;

/// The services of a server behind everything that is the same for all of them.
#[derive(Clone)]
pub(crate) struct Rpc {
    routes: Routes,
    methods: Arc<Methods>,
    limits: Limits,
}

impl Rpc {
    pub(crate) fn new(routes: Routes, methods: Methods, limits: Limits) -> Self {
        Self {
            routes: routes.prepare(),
            methods: Arc::new(methods),
            limits,
        }
    }
}

impl Service<Request<Body>> for Rpc {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<Body>>::poll_ready(&mut self.routes, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = self.methods.get(request.uri().path());
        let admitted = self.limits.admit(&method.service, request.headers());
        let call = Call::start(method, request.headers());
        let span = call.span().clone();
        match admitted {
            Ok(admission) => {
                let caller_deadline = admission.caller_deadline();
                let handled = self.routes.call(request);
                let answer = async move {
                    let response = admission
                        .hold(catch_panic(handled))
                        .await
                        .unwrap_or_else(Status::into_http);
                    Ok(call.answer(response, caller_deadline))
                };
                answer.instrument(span).boxed()
            }
            Err(status) => async move { Ok(call.answer(status.into_http(), None)) }
                .instrument(span)
                .boxed(),
        }
    }
}

/// The caller learns that something broke, and nothing about what. The panic hook has told the log.
async fn catch_panic<F>(handled: F) -> Result<Response<Body>, Status>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    match AssertUnwindSafe(handled).catch_unwind().await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(never)) => match never {},
        Err(_) => Err(panicked()),
    }
}

fn panicked() -> Status {
    tracing::error!("a call was answered INTERNAL because its handler panicked");
    Status::internal("internal error")
}
