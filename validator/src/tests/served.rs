//! The whole process without the process: served on a port, asked by a client.

use tokenbind_index::Namespace;
use tokenbind_proto::v1::validation_service_client::ValidationServiceClient;
use tokenbind_proto::v1::{Reason, ValidateTokenRequest};
use tokenbind_runtime::config::ServerConfig;
use tokenbind_runtime::shutdown::Shutdown;
use tokio::net::TcpListener;
use tonic::Code;

use super::fixture::{Fixture, RESOURCE};
use crate::{ValidatorSetup, serve};

#[tokio::test]
async fn serves_until_told_to_stop() {
    let fixture = Fixture::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let setup = ValidatorSetup {
        facts: fixture.inputs.clone(),
        namespace: Namespace::default(),
        unauthenticated_callers_as: Some(RESOURCE.to_owned()),
        identity: None,
    };
    let mut config = ServerConfig::new(address);
    config.drain = std::time::Duration::ZERO;
    let shutdown = Shutdown::manual();
    let serving = tokio::spawn(serve(listener, setup, config, shutdown.clone()));

    let mut client = ValidationServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let answer = client
        .validate_token(ValidateTokenRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.reason(), Reason::TokenMissing);
    let refused = client
        .introspect_token(tokenbind_proto::v1::IntrospectTokenRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);

    shutdown.trigger();
    serving.await.unwrap().unwrap();
    shutdown.finish().await;
}
