//! Where gRPC and HTTP part: a call of an RPC says that it is one.

use crate::{
    http::{Answered, Http, HttpBody as AnsweredBody},
    rpc::{AnswerBody, Handled, Rpc},
    talk::{Handed, Talk},
    tls::PeerCertificate,
};
use bytes::Bytes;
use http::{Request, Response, Version, header::CONTENT_TYPE};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::Status;

/// All that a server answers. Clones share one state.
#[derive(Clone)]
pub(crate) struct Front {
    rpc: Rpc,
    http: Arc<Http>,
}

impl Front {
    pub(crate) fn new(rpc: Rpc, http: Http) -> Self {
        Self {
            rpc,
            http: Arc::new(http),
        }
    }
}

/// What is said on one connection.
pub(crate) struct Conversation<Peer> {
    front: Front,
    peer: Peer,
    certificate: Option<Arc<PeerCertificate>>,
    talk: Arc<Talk>,
}

impl<Peer> Conversation<Peer> {
    pub(crate) fn new(front: Front, peer: Peer, certificate: Option<Arc<PeerCertificate>>, talk: Arc<Talk>) -> Self {
        Self {
            front,
            peer,
            certificate,
            talk,
        }
    }
}

impl<Peer> hyper::service::Service<Request<Incoming>> for Conversation<Peer>
where
    Peer: Clone + Send + Sync + 'static,
{
    type Response = Response<FrontBody>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.talk.heard(request.version());
        // Where tonic looks for it.
        request.extensions_mut().insert(self.peer.clone());
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(Arc::clone(certificate));
        }
        let answer = if is_rpc(&request) {
            Answer::Rpc(self.front.rpc.call(request, &self.talk))
        } else {
            let named = self.front.rpc.knows(request.uri().path());
            Answer::Http(self.front.http.call(request, named))
        };
        Answering {
            answer,
            talk: Arc::clone(&self.talk),
        }
    }
}

/// gRPC over HTTP/2, "Requests".
fn is_rpc<B>(request: &Request<B>) -> bool {
    let says_so = |value: &http::HeaderValue| value.as_bytes().starts_with(b"application/grpc");
    request.version() == Version::HTTP_2 && request.headers().get(CONTENT_TYPE).is_some_and(says_so)
}

/// An answer in the making.
pub(crate) struct Answering {
    answer: Answer,
    talk: Arc<Talk>,
}

enum Answer {
    Rpc(Handled),
    Http(Answered),
}

impl Future for Answering {
    type Output = Result<Response<FrontBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { answer, talk } = self.get_mut();
        let handed = |body| FrontBody {
            body,
            handed: Handed::now(Arc::clone(talk)),
        };
        match answer {
            Answer::Rpc(call) => Pin::new(call)
                .poll(context)
                .map(|answer| answer.map(|response| response.map(|body| handed(EitherBody::Rpc(body))))),
            Answer::Http(answered) => answered
                .as_mut()
                .poll(context)
                .map(|response| Ok(response.map(|body| handed(EitherBody::Http(body))))),
        }
    }
}

/// The body of an answer, which tells whether its client has something to take.
pub(crate) struct FrontBody {
    body: EitherBody,
    handed: Handed,
}

enum EitherBody {
    Rpc(AnswerBody),
    Http(AnsweredBody),
}

impl HttpBody for FrontBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = match &mut self.body {
            EitherBody::Rpc(body) => Pin::new(body).poll_frame(context),
            EitherBody::Http(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|error| Status::from_error(error.into())),
        };
        match &polled {
            Poll::Ready(Some(Ok(_))) => self.handed.more(),
            _ => self.handed.none(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            EitherBody::Rpc(body) => body.is_end_stream(),
            EitherBody::Http(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            EitherBody::Rpc(body) => body.size_hint(),
            EitherBody::Http(body) => body.size_hint(),
        }
    }
}
