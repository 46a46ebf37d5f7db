//! The generated clients, with who asks put in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokenbind_proto::v1::application_service_client::ApplicationServiceClient;
use tokenbind_proto::v1::binding_service_client::BindingServiceClient;
use tokenbind_proto::v1::key_service_client::KeyServiceClient;
use tokenbind_proto::v1::resource_service_client::ResourceServiceClient;
use tokenbind_proto::v1::token_service_client::TokenServiceClient;
use tokenbind_proto::v1::user_service_client::UserServiceClient;
use tokenbind_proto::v1::validation_service_client::ValidationServiceClient;
use tokenbind_proto::v1::{
    Decision, IntrospectTokenRequest, IntrospectTokenResponse, IssueTokenRequest, IssueTokenResponse, Reason,
    RevokeTokenRequest, RevokeTokenResponse, ValidateTokenRequest, ValidateTokenResponse, ValidateTokensRequest,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// An application and its credentials.
#[derive(Clone, Debug)]
pub struct App {
    /// Its `client_id`.
    pub id: String,
    /// Its `client_secret`.
    pub secret: String,
}

impl App {
    /// The value of `authorization` that proves it.
    pub fn basic(&self) -> String {
        basic(&self.id, &self.secret)
    }
}

/// A resource and its credentials.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its `resource_id`.
    pub id: String,
    /// With what it calls the validator.
    pub secret: String,
}

impl Resource {
    /// The value of `authorization` that proves it.
    pub fn basic(&self) -> String {
        basic(&self.id, &self.secret)
    }
}

/// `Basic …` of RFC 6749, section 2.3.1: both parts form-encoded. Of what the tests use, everything but letters, digits and
/// `-._` is escaped.
pub fn basic(id: &str, secret: &str) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", form_encode(id), form_encode(secret)))
    )
}

/// `Bearer …`
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub(crate) fn form_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// A request with `authorization`.
pub fn with_authorization<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = authorization.parse().expect("ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

/// A connection that is made at the first call, and again when it was lost.
pub fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect_lazy()
}

/// What a server says of one of its services; `None` when it cannot be asked.
pub async fn health(server: &Channel, service: &str) -> Option<ServingStatus> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(server.clone()).check(request).await.ok()?;
    Some(answer.into_inner().status())
}

/// Clients of one issuer and one validator.
#[derive(Clone, Debug)]
pub struct Client {
    /// The issuer.
    pub issuer: Channel,
    /// The validator.
    pub validator: Channel,
}

impl Client {
    /// Clients of servers at these addresses.
    pub fn new(issuer: &str, validator: &str) -> Self {
        Self {
            issuer: channel(issuer),
            validator: channel(validator),
        }
    }

    /// `TokenService`
    pub fn tokens(&self) -> TokenServiceClient<Channel> {
        TokenServiceClient::new(self.issuer.clone())
    }

    /// `BindingService`
    pub fn bindings(&self) -> BindingServiceClient<Channel> {
        BindingServiceClient::new(self.issuer.clone())
    }

    /// `ApplicationService`
    pub fn applications(&self) -> ApplicationServiceClient<Channel> {
        ApplicationServiceClient::new(self.issuer.clone())
    }

    /// `UserService`
    pub fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.issuer.clone())
    }

    /// `ResourceService`
    pub fn resources(&self) -> ResourceServiceClient<Channel> {
        ResourceServiceClient::new(self.issuer.clone())
    }

    /// `KeyService`
    pub fn keys(&self) -> KeyServiceClient<Channel> {
        KeyServiceClient::new(self.issuer.clone())
    }

    /// `ValidationService`
    pub fn validation(&self) -> ValidationServiceClient<Channel> {
        ValidationServiceClient::new(self.validator.clone()).max_decoding_message_size(16 << 20)
    }

    /// A token for `app`, which proves itself in the message.
    pub async fn issue(&self, app: &App, mut request: IssueTokenRequest) -> Result<IssueTokenResponse, Status> {
        request.client_id.clone_from(&app.id);
        request.client_secret.clone_from(&app.secret);
        Ok(self.tokens().issue_token(request).await?.into_inner())
    }

    /// R1, by the application itself.
    pub async fn revoke(&self, app: &App, token: &str) -> Result<RevokeTokenResponse, Status> {
        let request = RevokeTokenRequest {
            token: token.to_owned(),
            client_id: app.id.clone(),
            client_secret: app.secret.clone(),
            ..Default::default()
        };
        Ok(self.tokens().revoke_token(request).await?.into_inner())
    }

    /// The verdict on a question that `resource` asks.
    pub async fn judge(
        &self,
        resource: &Resource,
        question: ValidateTokenRequest,
    ) -> Result<ValidateTokenResponse, Status> {
        let request = with_authorization(question, &resource.basic());
        Ok(self.validation().validate_token(request).await?.into_inner())
    }

    /// The verdict on a token about whose presenter nothing is known.
    pub async fn validate(&self, resource: &Resource, token: &str) -> ValidateTokenResponse {
        let question = ValidateTokenRequest {
            token: token.to_owned(),
            ..Default::default()
        };
        self.judge(resource, question).await.expect("a verdict")
    }

    /// The verdicts on many tokens.
    pub async fn validate_all(&self, resource: &Resource, tokens: &[String]) -> Vec<ValidateTokenResponse> {
        let mut verdicts = Vec::with_capacity(tokens.len());
        for batch in tokens.chunks(500) {
            let requests = batch.iter().map(|token| ValidateTokenRequest {
                token: token.clone(),
                ..Default::default()
            });
            let request = ValidateTokensRequest {
                requests: requests.collect(),
            };
            let request = with_authorization(request, &resource.basic());
            let answer = self.validation().validate_tokens(request).await.expect("verdicts");
            verdicts.extend(answer.into_inner().responses);
        }
        verdicts
    }

    /// RFC 7662.
    pub async fn introspect(&self, resource: &Resource, token: &str) -> Result<IntrospectTokenResponse, Status> {
        let request = IntrospectTokenRequest {
            token: token.to_owned(),
            ..Default::default()
        };
        let request = with_authorization(request, &resource.basic());
        Ok(self.validation().introspect_token(request).await?.into_inner())
    }

    /// The token is good.
    pub async fn assert_live(&self, resource: &Resource, token: &str) {
        let verdict = self.validate(resource, token).await;
        assert_eq!(verdict.reason(), Reason::Valid);
        assert_eq!(verdict.decision(), Decision::Allow);
    }

    /// The token is dead, and for this reason.
    pub async fn assert_dead(&self, resource: &Resource, token: &str, reason: Reason) {
        let verdict = self.validate(resource, token).await;
        assert_eq!(verdict.reason(), reason);
        assert_eq!(verdict.decision(), Decision::Unauthenticated);
    }
}
