//! A directory that speaks `tokenbind.v1.UserDirectoryService`.

use std::error::Error as _;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use tokenbind_proto::v1::authenticate_response::Outcome;
use tokenbind_proto::v1::user_directory_service_client::UserDirectoryServiceClient;
use tokenbind_proto::v1::{AuthenticateRequest, AuthenticateResponse, User};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::external::{Remote, RemoteError};
use super::{KnownUser, Login};

/// The longest answer: a user with every attribute at its limit.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// A connection that was cut without a word is noticed within both together.
const KEEPALIVE: Duration = Duration::from_secs(10);

pub(super) struct GrpcDirectory {
    client: UserDirectoryServiceClient<Channel>,
    deadline: Duration,
}

impl GrpcDirectory {
    /// Connects when it is first asked.
    pub(super) fn new(
        endpoint: Endpoint,
        tls: Option<ClientTlsConfig>,
        deadline: Duration,
    ) -> Result<Self, tonic::transport::Error> {
        let endpoint = endpoint
            .connect_timeout(deadline)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE);
        let endpoint = match tls {
            Some(tls) => endpoint.tls_config(tls)?,
            None => endpoint,
        };
        let client = UserDirectoryServiceClient::new(endpoint.connect_lazy());
        Ok(Self {
            client: client.max_decoding_message_size(MAX_ANSWER_BYTES),
            deadline,
        })
    }
}

#[async_trait]
impl Remote for GrpcDirectory {
    async fn authenticate(&self, login: &Login) -> Result<Option<KnownUser>, RemoteError> {
        let mut request = Request::new(AuthenticateRequest {
            username: login.username.clone(),
            password: login.password.expose_secret().to_owned(),
            client_id: login.client_id.clone(),
        });
        request.set_timeout(self.deadline);
        let answer = self.client.clone().authenticate(request).await;
        understood(answer.map_err(|status| failed(&status))?.into_inner())
    }
}

fn understood(answer: AuthenticateResponse) -> Result<Option<KnownUser>, RemoteError> {
    match answer.outcome {
        Some(Outcome::User(user)) => {
            let described = KnownUser::described(User {
                username: user.username,
                attributes: user.attributes,
                scopes: user.scopes,
                ..User::default()
            });
            let odd = || RemoteError::Odd("it described a user beyond the limits of the contract".to_owned());
            described.map(Some).ok_or_else(odd)
        }
        Some(Outcome::Refused(_)) => Ok(None),
        None => Err(RemoteError::Odd("it answered neither a user nor a refusal".to_owned())),
    }
}

/// A message of the directory may repeat what it was asked, so the log has the code alone.
fn failed(status: &Status) -> RemoteError {
    let code = status.code();
    let problem = format!("it answered {code:?}");
    let silent = matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled);
    // What the transport says has a source; what a handler says has none. A handler that breaks at one user (UNKNOWN, INTERNAL)
    // may know the next.
    if silent || status.source().is_some() {
        RemoteError::Down(problem)
    } else {
        RemoteError::Odd(problem)
    }
}
