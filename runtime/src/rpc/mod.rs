//! What every RPC passes through: observation, limits, and a net under panics.

mod call;
mod deadline;
mod handled;
mod limits;
mod methods;

pub(crate) use call::AnswerBody;
pub(crate) use handled::Handled;
pub(crate) use limits::{Limits, Permit, Refusal};
pub(crate) use methods::Methods;

use crate::{body::BodyBudget, talk::Talk};
use bytes::Bytes;
use call::Call;
use futures::future::BoxFuture;
use http::{Request, Response};
use std::{convert::Infallible, sync::Arc};
use tonic::{Status, body::Body};
use tower::Service;

/// The answer of a service, as tonic generates it.
type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// A service as tonic generates it, whichever it is.
pub trait Handler: Send + Sync + 'static {
    /// Answers a call.
    fn handle(&self, request: Request<Body>) -> Answer;
}

impl<S> Handler for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>,
    S: Clone + Send + Sync + 'static,
{
    fn handle(&self, request: Request<Body>) -> Answer {
        // What tonic generates is always ready, and a few pointers to clone.
        self.clone().call(request)
    }
}

/// The services of a server behind everything that is the same for all of them.
#[derive(Clone)]
pub(crate) struct Rpc {
    methods: Arc<Methods>,
    limits: Limits,
    bodies: BodyBudget,
}

impl Rpc {
    pub(crate) fn new(methods: Methods, limits: Limits, bodies: BodyBudget) -> Self {
        Self {
            methods: Arc::new(methods),
            limits,
            bodies,
        }
    }

    /// Whether there is an RPC at this path.
    pub(crate) fn knows(&self, path: &str) -> bool {
        self.methods.get(path).handler().is_some()
    }

    pub(crate) fn call<B>(&self, request: Request<B>, talk: &Arc<Talk>) -> Handled
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let method = self.methods.get(request.uri().path());
        let call = Call::start(Arc::clone(&method), request.headers());
        let admitted = self.limits.admit(&method.service, request.headers(), call.started());
        match (admitted, method.handler()) {
            (Ok(admission), Some(handler)) => {
                let side = if method.is_aside && method.answers_stream {
                    match self.limits.admit_side_stream(talk) {
                        Ok(side) => Some(side),
                        Err(refusal) => return Handled::refused(refusal.into(), call),
                    }
                } else {
                    None
                };
                let request = request.map(|body| {
                    // What comes as a stream is taken piece by piece.
                    if method.takes_stream {
                        Body::new(body)
                    } else {
                        Body::new(self.bodies.count(body))
                    }
                });
                let answer = call.span().in_scope(|| handler.handle(request));
                Handled::by(answer, call, admission, side)
            }
            (Ok(_), None) => Handled::refused(Status::unimplemented("there is no such method"), call),
            (Err(refusal), _) => Handled::refused(refusal.into(), call),
        }
    }
}

fn panicked() -> Status {
    tracing::error!("a call was answered INTERNAL because its handler panicked");
    Status::internal("internal error")
}
