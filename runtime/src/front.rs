//! Where gRPC and HTTP part: a call of an RPC says that it is one.

use crate::{
    http::{Answered, Http},
    rpc::{AnswerBody, Handled, Rpc},
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
use tonic::{Status, body::Body};

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
}

impl<Peer> Conversation<Peer> {
    pub(crate) fn new(front: Front, peer: Peer, certificate: Option<Arc<PeerCertificate>>) -> Self {
        Self {
            front,
            peer,
            certificate,
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
        // Where tonic looks for it.
        request.extensions_mut().insert(self.peer.clone());
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(Arc::clone(certificate));
        }
        if is_rpc(&request) {
            Answering::Rpc(self.front.rpc.call(request.map(Body::new)))
        } else {
            let named = self.front.rpc.knows(request.uri().path());
            Answering::Http(self.front.http.call(request, named))
        }
    }
}

/// gRPC over HTTP/2, "Requests".
fn is_rpc<B>(request: &Request<B>) -> bool {
    let says_so = |value: &http::HeaderValue| value.as_bytes().starts_with(b"application/grpc");
    request.version() == Version::HTTP_2 && request.headers().get(CONTENT_TYPE).is_some_and(says_so)
}

/// An answer in the making.
pub(crate) enum Answering {
    Rpc(Handled),
    Http(Answered),
}

impl Future for Answering {
    type Output = Result<Response<FrontBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Rpc(handled) => Pin::new(handled)
                .poll(context)
                .map(|answer| answer.map(|response| response.map(FrontBody::Rpc))),
            Self::Http(answered) => answered
                .as_mut()
                .poll(context)
                .map(|response| Ok(response.map(FrontBody::Http))),
        }
    }
}

/// The body of an answer.
pub(crate) enum FrontBody {
    Rpc(AnswerBody),
    Http(axum::body::Body),
}

impl HttpBody for FrontBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            Self::Rpc(body) => Pin::new(body).poll_frame(context),
            Self::Http(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|error| Status::from_error(error.into())),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Rpc(body) => body.is_end_stream(),
            Self::Http(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Rpc(body) => body.size_hint(),
            Self::Http(body) => body.size_hint(),
        }
    }
}
