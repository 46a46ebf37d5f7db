//! The methods that a server has, and what is counted for each.

use super::Handler;
use crate::{
    metrics::{RPC_HANDLED, RPC_SECONDS, RPC_STARTED},
    server::{HEALTH, REFLECTION},
};
use metrics::{Counter, Histogram, counter, histogram};
use prost::{DecodeError, Message};
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tonic::Code;

/// gRPC's status codes are 0 to 16.
const CODES: usize = 17;

/// The methods of a server by path. Only what is known here becomes a label or a span's name: a path is the caller's choice.
pub(crate) struct Methods {
    known: HashMap<String, Arc<Method>>,
    unknown: Arc<Method>,
}

/// One method, with its counters. They are looked up once, and only those that are used exist.
pub(crate) struct Method {
    pub(crate) service: String,
    pub(crate) name: String,
    kind: &'static str,
    started: OnceLock<Counter>,
    ended: [OnceLock<(Counter, Histogram)>; CODES],
    /// Its caller may send on and on.
    pub(crate) takes_stream: bool,
    /// Its answer may last.
    pub(crate) answers_stream: bool,
    /// It is of the services that every server has, whose streams nobody else bounds.
    pub(crate) is_aside: bool,
    /// The service that has it.
    handler: Option<Arc<dyn Handler>>,
}

impl Methods {
    /// The methods of `services`, as the encoded descriptor sets describe them.
    pub(crate) fn new(
        services: &[(&'static str, Arc<dyn Handler>)],
        descriptor_sets: &[&[u8]],
    ) -> Result<Self, DecodeError> {
        let mut known = HashMap::new();
        for encoded in descriptor_sets {
            for file in FileDescriptorSet::decode(*encoded)?.file {
                let package = file.package().to_owned();
                for service in &file.service {
                    let service_name = format!("{package}.{}", service.name());
                    let Some((_, handler)) = services.iter().find(|(name, _)| *name == service_name) else {
                        continue;
                    };
                    for method in &service.method {
                        let path = format!("/{service_name}/{}", method.name());
                        let mut method = Method::new(&service_name, method.name(), kind(method));
                        method.handler = Some(Arc::clone(handler));
                        known.insert(path, Arc::new(method));
                    }
                }
            }
        }
        Ok(Self {
            known,
            unknown: Arc::new(Method::new("unknown", "unknown", "unknown")),
        })
    }

    pub(crate) fn get(&self, path: &str) -> Arc<Method> {
        Arc::clone(self.known.get(path).unwrap_or(&self.unknown))
    }
}

impl Method {
    fn new(service: &str, name: &str, kind: &'static str) -> Self {
        Self {
            service: service.to_owned(),
            name: name.to_owned(),
            kind,
            started: OnceLock::new(),
            ended: [const { OnceLock::new() }; CODES],
            takes_stream: matches!(kind, "client_stream" | "bidi_stream"),
            answers_stream: matches!(kind, "server_stream" | "bidi_stream"),
            is_aside: service == HEALTH || REFLECTION.contains(&service),
            handler: None,
        }
    }

    /// What answers it; nothing does where it is not known.
    pub(crate) fn handler(&self) -> Option<&dyn Handler> {
        self.handler.as_deref()
    }

    pub(crate) fn count_start(&self) {
        self.started
            .get_or_init(|| counter!(RPC_STARTED, &self.labels()))
            .increment(1);
    }

    pub(crate) fn count_end(&self, code: Code, took: Duration) {
        let index = usize::try_from(i32::from(code)).unwrap_or_default();
        let Some(counters) = self.ended.get(index) else { return };
        let (handled, seconds) = counters.get_or_init(|| {
            let mut labels = self.labels().to_vec();
            labels.push(("grpc_code", code_name(code).to_owned()));
            (counter!(RPC_HANDLED, &labels), histogram!(RPC_SECONDS, &labels))
        });
        handled.increment(1);
        seconds.record(took.as_secs_f64());
    }

    fn labels(&self) -> [(&'static str, String); 3] {
        [
            ("grpc_type", self.kind.to_owned()),
            ("grpc_service", self.service.clone()),
            ("grpc_method", self.name.clone()),
        ]
    }
}

fn kind(method: &MethodDescriptorProto) -> &'static str {
    match (method.client_streaming(), method.server_streaming()) {
        (false, false) => "unary",
        (false, true) => "server_stream",
        (true, false) => "client_stream",
        (true, true) => "bidi_stream",
    }
}

/// The name of a code as dashboards for gRPC expect it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
