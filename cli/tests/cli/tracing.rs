//! The trace of a command goes on in the service that it calls.

use std::sync::{Arc, Mutex};

use tokenbind_proto::v1::key_service_server::{KeyService, KeyServiceServer};
use tokenbind_proto::v1::{
    GetKeySetRequest, GetKeySetResponse, RotateSigningKeyRequest, RotateSigningKeyResponse, WithdrawKeyRequest,
    WithdrawKeyResponse,
};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::support::Tokenbind;

/// Remembers the `traceparent` of each call.
#[derive(Clone, Default)]
struct Listening(Arc<Mutex<Vec<Option<String>>>>);

#[tonic::async_trait]
impl KeyService for Listening {
    async fn get_key_set(&self, request: Request<GetKeySetRequest>) -> Result<Response<GetKeySetResponse>, Status> {
        let parent = request.metadata().get("traceparent");
        let parent = parent.map(|value| value.to_str().unwrap().to_owned());
        self.0.lock().unwrap().push(parent);
        Ok(Response::new(GetKeySetResponse {
            jwks_json: r#"{"keys":[]}"#.to_owned(),
            active_key_id: String::new(),
        }))
    }

    async fn rotate_signing_key(
        &self,
        _request: Request<RotateSigningKeyRequest>,
    ) -> Result<Response<RotateSigningKeyResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn withdraw_key(&self, _: Request<WithdrawKeyRequest>) -> Result<Response<WithdrawKeyResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_carries_the_trace_where_there_is_one() {
    let heard = Listening::default();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", incoming.local_addr().unwrap());
    let service = KeyServiceServer::new(heard.clone());
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));

    let asking = tokio::task::spawn_blocking(move || {
        let tokenbind = Tokenbind::new().with("TOKENBIND_ISSUER_URL", &url);
        tokenbind.run(&["keys", "list"]).fine();
        // The exports are refused there, which is no reason for a command to fail.
        tokenbind.run(&["keys", "list", "--otlp-endpoint", &url]).fine();
    });
    asking.await.unwrap();

    let heard = heard.0.lock().unwrap();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0], None);
    let parent = heard[1].as_ref().unwrap();
    let parts: Vec<_> = parent.split('-').map(str::len).collect();
    assert_eq!(parts, [2, 32, 16, 2], "{parent}");
    assert!(parent.ends_with("-01"), "sampled: {parent}");
}
