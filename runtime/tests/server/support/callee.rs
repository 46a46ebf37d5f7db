//! A gRPC service with every behaviour that the shell around it has to cope with.

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream};
use http::{Request, Response};
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tokenbind_runtime::tls::PeerCertificate;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    metadata::MetadataMap,
    server::{Grpc, NamedService},
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

/// Its name.
pub(crate) const SERVICE: &str = "test.v1.Callee";

/// A text that no caller, log or trace may ever see.
pub(crate) const SECRET: &str = "swordfish";

/// The service. Clones share their gates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Callee {
    /// `Wait` has begun.
    pub(crate) entered: CancellationToken,
    /// `Wait` may answer.
    pub(crate) release: CancellationToken,
    /// `Wait` was dropped before its end.
    pub(crate) dropped: CancellationToken,
}

type Answers = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

impl NamedService for Callee {
    const NAME: &'static str = SERVICE;
}

impl Callee {
    /// The encoded descriptors of this service.
    pub(crate) fn descriptors() -> &'static [u8] {
        let method = |name: &str, streaming| MethodDescriptorProto {
            name: Some(name.to_owned()),
            server_streaming: Some(streaming),
            ..Default::default()
        };
        let service = ServiceDescriptorProto {
            name: Some("Callee".to_owned()),
            method: ["Echo", "Count", "Wait", "Panic", "Peer", "Context", "Thread", "Names"]
                .map(|name| method(name, false))
                .into_iter()
                .chain(["Stream", "StreamPanic"].map(|name| method(name, true)))
                .collect(),
            ..Default::default()
        };
        let file = FileDescriptorProto {
            name: Some("test/v1/callee.proto".to_owned()),
            package: Some("test.v1".to_owned()),
            service: vec![service],
            ..Default::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec().leak()
    }

    async fn wait(self) -> Result<String, Status> {
        let guard = self.dropped.clone().drop_guard();
        self.entered.cancel();
        self.release.cancelled().await;
        guard.disarm();
        Ok(String::new())
    }

    async fn unary(self, method: &str, request: tonic::Request<String>) -> Result<String, Status> {
        match method {
            "Echo" | "Count" => Ok(request.into_inner()),
            "Wait" => self.wait().await,
            "Panic" => panic!("the handler knows {SECRET}"),
            "Peer" => Ok(request
                .remote_addr()
                .map(|address| address.to_string())
                .unwrap_or_default()),
            "Names" => Ok(PeerCertificate::of(request.extensions()).map_or_else(
                || "nobody".to_owned(),
                |peer| {
                    format!(
                        "{} {} {}",
                        peer.dns_names.join(","),
                        peer.uris.join(","),
                        peer.not_after
                    )
                },
            )),
            "Thread" => Ok(std::thread::current().name().unwrap_or_default().to_owned()),
            "Context" => {
                let mut metadata = MetadataMap::new();
                tokenbind_runtime::trace_context::inject(&mut metadata);
                let value = metadata
                    .get("traceparent")
                    .map(|value| value.to_str().unwrap().to_owned());
                Ok(value.unwrap_or_default())
            }
            _ => Err(Status::unimplemented("")),
        }
    }

    fn stream(method: &str) -> Answers {
        let first = stream::iter([Ok("first".to_owned())]);
        match method {
            "StreamPanic" => first
                .chain(stream::once(async {
                    // Otherwise the first message would wait to be sent along with what comes next.
                    tokio::task::yield_now().await;
                    panic!("the stream knows {SECRET}")
                }))
                .boxed(),
            _ => first.chain(stream::pending()).boxed(),
        }
    }
}

impl Service<Request<Body>> for Callee {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let callee = self.clone();
        let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
        async move {
            if method.starts_with("Stream") {
                let service = service_fn(move |_: tonic::Request<String>| {
                    let answers = Callee::stream(&method);
                    async move { Ok::<_, Status>(tonic::Response::new(answers)) }
                });
                return Ok(grpc.server_streaming(service, request).await);
            }
            let service = service_fn(move |request: tonic::Request<String>| {
                let (callee, method) = (callee.clone(), method.clone());
                async move { callee.unary(&method, request).await.map(tonic::Response::new) }
            });
            Ok(grpc.unary(service, request).await)
        }
        .boxed()
    }
}
