//! Reflection, v1 and v1alpha, and an independent client that lives by it.

use std::process::Command;

use tokenbind_tests::{Backend, DevStack, Stack, on_every_backend, tool};
use tonic::transport::Channel;
use tonic_reflection::pb::{v1, v1alpha};

on_every_backend!(reflection_lists_every_service);

const ISSUER: &[&str] = &[
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "tokenbind.v1.ApplicationService",
    "tokenbind.v1.BindingService",
    "tokenbind.v1.KeyService",
    "tokenbind.v1.ResourceService",
    "tokenbind.v1.TokenService",
    "tokenbind.v1.UserService",
];
const VALIDATOR: &[&str] = &[
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "tokenbind.v1.ValidationService",
];

macro_rules! list {
    ($version:ident, $server:expr) => {{
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let request = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = $version::server_reflection_client::ServerReflectionClient::new($server);
        let requests = tokio_stream::once(request);
        let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response;
        let mut names = Vec::new();
        if let Some(MessageResponse::ListServicesResponse(list)) = answer {
            names.extend(list.service.into_iter().map(|service| service.name));
        }
        names.sort_unstable();
        names
    }};
}

async fn reflection_lists_every_service(stack: Stack) {
    let servers: [(&Channel, &[&str]); 2] = [(&stack.issuer, ISSUER), (&stack.validator, VALIDATOR)];
    for (server, expected) in servers {
        assert_eq!(list!(v1, server.clone()), expected);
        assert_eq!(list!(v1alpha, server.clone()), expected);
    }
}

/// What an independent client prints: grpcurl, or where it is not, buf.
fn listed(address: &str) -> String {
    let mut command = if let Some(grpcurl) = tool("TOKENBIND_TEST_GRPCURL", "grpcurl") {
        let mut command = Command::new(grpcurl);
        command.args(["-plaintext", address, "list"]);
        command
    } else {
        let buf = tool("TOKENBIND_TEST_BUF", "buf")
            .expect("`scripts/setup` gets a gRPC client, and `. .tools/env` tells where");
        let mut command = Command::new(buf);
        command.args([
            "curl",
            "--http2-prior-knowledge",
            "--protocol",
            "grpc",
            "--list-services",
        ]);
        command.arg(format!("http://{address}"));
        command
    };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_independent_client_finds_every_service() {
    let dev = DevStack::start(&[]);
    for (address, services) in [(dev.issuer(), ISSUER), (dev.validator(), VALIDATOR)] {
        let listed = listed(address);
        for service in services.iter().filter(|service| service.starts_with("tokenbind")) {
            assert!(listed.lines().any(|line| line == *service), "{service} in {listed}");
        }
    }
}

/// The descriptors of the contract come over reflection, or no such client could call anything.
#[tokio::test]
async fn reflection_describes_what_it_lists() {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let stack = Stack::start(Backend::Memory).await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(stack.issuer.clone());
    for name in ISSUER {
        let request = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::FileContainingSymbol((*name).to_owned())),
        };
        let answers = client.server_reflection_info(tokio_stream::once(request)).await;
        let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
        let described = matches!(
            answer.message_response,
            Some(MessageResponse::FileDescriptorResponse(_))
        );
        assert!(described, "{name}");
    }
}
