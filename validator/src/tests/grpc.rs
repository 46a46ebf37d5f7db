//! `ValidationService`: callers, limits, batches, errors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokenbind_index::SecretHash;
use tokenbind_proto::answering::validation_service_server::ValidationService as _;
use tokenbind_proto::index::v1::SecretDigest;
use tokenbind_proto::v1::{
    self, Decision, FreshnessSource, IntrospectTokenRequest, IntrospectTokenResponse, Presenter, Reason,
    ValidateTokenRequest, ValidateTokenResponse, ValidateTokensRequest, ValidateTokensResponse,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::fixture::{Fixture, RESOURCE, SHOP, Spec, resource};
use crate::caller::Callers;
use crate::facts::CacheLimits;
use crate::transport::grpc::ValidationGrpc;
use crate::{OpenCalls, OpenLimits};

pub(super) const SECRET: &str = "tbs_of-orders";
pub(super) const OTHER: &str = "billing";

/// The service, with the credentials of `orders`.
pub(super) struct Service {
    pub(super) fixture: Fixture,
    pub(super) grpc: ValidationGrpc,
    credentials: Option<String>,
}

impl Service {
    pub(super) async fn new() -> Self {
        Self::with(None).await
    }

    /// Callers without credentials count as `orders`.
    pub(super) async fn open() -> Self {
        Self::with(Some(RESOURCE.to_owned())).await
    }

    /// A service that keeps facts.
    pub(super) async fn keeping(limits: OpenLimits) -> Self {
        let fixture = Fixture::keeping(CacheLimits::default()).await;
        Self::over(fixture, None, limits).await
    }

    async fn with(unauthenticated_as: Option<String>) -> Self {
        Self::over(Fixture::new().await, unauthenticated_as, OpenLimits::default()).await
    }

    async fn over(fixture: Fixture, unauthenticated_as: Option<String>, limits: OpenLimits) -> Self {
        let callers = Callers::new(&fixture.inputs, unauthenticated_as);
        let service = Self {
            grpc: ValidationGrpc::new(
                fixture.validator.clone(),
                callers,
                OpenCalls::new(&fixture.inputs, limits),
            ),
            fixture,
            credentials: Some(basic(RESOURCE, SECRET)),
        };
        service.put_resource(resource()).await;
        let other = v1::Resource {
            resource_id: OTHER.to_owned(),
            ..v1::Resource::default()
        };
        service.put_resource(other).await;
        service
    }

    pub(super) async fn put_resource(&self, resource: v1::Resource) {
        self.fixture.put_resource(resource, vec![secret(SECRET, 0)]).await;
    }

    /// The credentials of `orders`.
    pub(super) fn basic(&self) -> Option<String> {
        self.credentials.clone()
    }

    pub(super) async fn validate(
        &self,
        credentials: Option<String>,
        request: ValidateTokenRequest,
    ) -> Result<ValidateTokenResponse, Status> {
        let answer = self.grpc.validate_token(with_credentials(credentials, request)).await;
        answer.map(|answer| received(answer.get_ref()))
    }

    pub(super) async fn batch(&self, requests: Vec<ValidateTokenRequest>) -> Result<ValidateTokensResponse, Status> {
        self.batch_of(self.basic(), requests).await
    }

    async fn batch_of(
        &self,
        credentials: Option<String>,
        requests: Vec<ValidateTokenRequest>,
    ) -> Result<ValidateTokensResponse, Status> {
        let request = with_credentials(credentials, ValidateTokensRequest { requests });
        self.grpc
            .validate_tokens(request)
            .await
            .map(|answer| received(answer.get_ref()))
    }

    pub(super) async fn introspect(
        &self,
        credentials: Option<String>,
        request: IntrospectTokenRequest,
    ) -> Result<IntrospectTokenResponse, Status> {
        let answer = self.grpc.introspect_token(with_credentials(credentials, request)).await;
        answer.map(tonic::Response::into_inner)
    }
}

pub(super) fn secret(text: &str, expires_at: i64) -> SecretDigest {
    SecretDigest {
        sha256: SecretHash::of(text).as_bytes().to_vec(),
        expires_at,
    }
}

pub(super) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

pub(super) fn with_credentials<T>(credentials: Option<String>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(credentials) = credentials {
        request
            .metadata_mut()
            .insert("authorization", credentials.parse().unwrap());
    }
    request
}

pub(super) fn reason_of(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, "tokenbind");
    info.reason
}

pub(super) fn fields(status: &Status) -> Vec<String> {
    assert_eq!(
        (status.code(), reason_of(status).as_str()),
        (Code::InvalidArgument, "invalid_request")
    );
    let violations = status.get_details_bad_request().unwrap().field_violations;
    violations.into_iter().map(|violation| violation.field).collect()
}

pub(super) fn ask(token: &str) -> ValidateTokenRequest {
    ValidateTokenRequest {
        token: token.to_owned(),
        presenter: Some(Presenter {
            client_id: SHOP.to_owned(),
            ..Presenter::default()
        }),
        ..ValidateTokenRequest::default()
    }
}

#[tokio::test]
async fn a_verdict_has_every_field_v9_v11() {
    let service = Service::new().await;
    let token = service.fixture.opaque(&Spec::bound_to("phone")).await;
    let answer = service.validate(service.basic(), ask(&token)).await.unwrap();
    assert_eq!(
        (answer.decision(), answer.reason(), answer.http_status),
        (Decision::Allow, Reason::Valid, 200)
    );
    assert_eq!(answer.www_authenticate, "");
    let facts = answer.token.unwrap();
    assert_eq!((facts.subject.as_str(), facts.username.as_str()), ("user:ada", "ada"));
    assert_eq!(facts.binding.unwrap().r#ref.len(), 43);
    assert_eq!(
        facts.expires_at.unwrap().seconds - facts.issued_at.unwrap().seconds,
        600
    );
    let freshness = answer.freshness.unwrap();
    assert_eq!(freshness.source(), FreshnessSource::Index);
    assert!(freshness.revision > 0);
    let staleness = freshness.max_staleness.unwrap();
    assert_eq!((staleness.seconds, staleness.nanos), (0, 0));
}

#[tokio::test]
async fn wrong_callers_are_told_alike_a17() {
    let service = Service::new().await;
    let token = service.fixture.jwt(&Spec::default()).await;
    let mut told = Vec::new();
    for credentials in [
        None,
        Some(basic(RESOURCE, "wrong")),
        Some(basic(RESOURCE, "")),
        Some(basic("unknown", SECRET)),
        Some(basic("", SECRET)),
        Some(basic(&"x".repeat(256), SECRET)),
        Some(format!("Bearer {token}")),
        Some("Basic !".to_owned()),
        Some(format!("{}, {}", basic(RESOURCE, SECRET), basic(RESOURCE, SECRET))),
    ] {
        let refused = service.validate(credentials.clone(), ask(&token)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{credentials:?}");
        assert_eq!(reason_of(&refused), "invalid_client");
        told.push((refused.message().to_owned(), refused.details().to_vec()));
    }
    told.dedup();
    assert_eq!(told.len(), 1);
    assert!(service.validate(service.basic(), ask(&token)).await.is_ok());
}

#[tokio::test]
async fn a_repeated_authorization_is_refused_a10() {
    let service = Service::new().await;
    let mut request = with_credentials(service.basic(), ask("x"));
    request
        .metadata_mut()
        .append("authorization", basic(RESOURCE, SECRET).parse().unwrap());
    let refused = service.grpc.validate_token(request).await.unwrap_err();
    assert_eq!(reason_of(&refused), "invalid_client");
}

#[tokio::test]
async fn secrets_overlap_and_end() {
    let service = Service::new().await;
    let ends = i64::try_from(service.fixture.now()).unwrap() + 10;
    let secrets = vec![secret("old", ends), secret("new", 0)];
    service.fixture.put_resource(resource(), secrets).await;
    let tries = async |with: &str| service.validate(Some(basic(RESOURCE, with)), ask("x")).await.is_ok();
    assert!(tries("old").await && tries("new").await && !tries(SECRET).await);
    service.fixture.pass(9);
    assert!(tries("old").await);
    service.fixture.pass(1);
    assert!(!tries("old").await && tries("new").await);
}

#[tokio::test]
async fn a_caller_asks_for_itself_alone() {
    let service = Service::new().await;
    let token = service.fixture.jwt(&Spec::default()).await;
    let request = |resource: &str| ValidateTokenRequest {
        resource: resource.to_owned(),
        ..ask(&token)
    };
    assert!(service.validate(service.basic(), request(RESOURCE)).await.is_ok());
    for other in [OTHER, "unknown"] {
        let refused = service.validate(service.basic(), request(other)).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason_of(&refused).as_str()),
            (Code::PermissionDenied, "access_denied")
        );
    }
}

#[tokio::test]
async fn in_development_a_caller_may_go_without_credentials() {
    let service = Service::open().await;
    let token = service.fixture.jwt(&Spec::default()).await;
    let request = |resource: &str| ValidateTokenRequest {
        resource: resource.to_owned(),
        ..ask(&token)
    };
    let answer = service.validate(None, request("")).await.unwrap();
    assert_eq!(answer.reason(), Reason::Valid);
    let answer = service.validate(None, request(OTHER)).await.unwrap();
    assert_eq!(answer.reason(), Reason::AudienceMismatch);
    let refused = service.validate(None, request("unknown")).await.unwrap_err();
    assert_eq!(fields(&refused), ["resource"]);
    let refused = service
        .batch_of(None, vec![request(""), request("unknown")])
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["requests[1].resource"]);
    // Credentials that are sent must be right.
    let refused = service
        .validate(Some(basic(RESOURCE, "wrong")), request(""))
        .await
        .unwrap_err();
    assert_eq!(reason_of(&refused), "invalid_client");
}

#[tokio::test]
async fn a_blank_binding_id_is_none_s11() {
    let service = Service::new().await;
    let token = service.fixture.jwt(&Spec::bound_to("phone")).await;
    let with_id = |id: &str| {
        let mut request = ask(&token);
        request.presenter.as_mut().unwrap().token_binding_id = id.to_owned();
        service.validate(service.basic(), request)
    };
    for blank in ["", " ", "\t\r\n \u{a0}"] {
        assert_eq!(with_id(blank).await.unwrap().reason(), Reason::Valid, "{blank:?}");
    }
    assert_eq!(with_id("phone").await.unwrap().reason(), Reason::Valid);
    assert_eq!(with_id(" phone").await.unwrap().reason(), Reason::BindingMismatch);
}

#[tokio::test]
async fn a_batch_answers_in_order() {
    let service = Service::new().await;
    let live = service.fixture.jwt(&Spec::default()).await;
    let bound = service.fixture.opaque(&Spec::bound_to("phone")).await;
    let mut requests: Vec<_> = (0..332).flat_map(|_| [ask(&live), ask("x"), ask(&bound)]).collect();
    requests.extend([ask(""), ask(&live), ask("y"), ask(&bound)]);
    assert_eq!(requests.len(), 1_000);
    let reads = service.fixture.store.reads();
    let answers = service.batch(requests.clone()).await.unwrap().responses;
    let expected: Vec<_> = requests
        .iter()
        .map(|request| match request.token.as_str() {
            "" => Reason::TokenMissing,
            "x" | "y" => Reason::TokenMalformed,
            _ => Reason::Valid,
        })
        .collect();
    let reasons: Vec<_> = answers.iter().map(ValidateTokenResponse::reason).collect();
    assert_eq!(reasons, expected);
    // Of each live token its record, application and key, one list of keys and its end, and the caller once.
    assert_eq!(service.fixture.store.reads() - reads, 3 * 666 + 2 + 1);
}

#[tokio::test]
async fn without_the_index_the_answer_is_to_try_again_v10() {
    let service = Service::new().await;
    let token = service.fixture.jwt(&Spec::default()).await;
    service.fixture.store.switch(false);
    for refused in [
        service.validate(service.basic(), ask(&token)).await.unwrap_err(),
        service.batch(vec![ask(&token)]).await.unwrap_err(),
    ] {
        assert_eq!(
            (refused.code(), reason_of(&refused).as_str()),
            (Code::Unavailable, "temporarily_unavailable")
        );
        let retry = refused.get_details_retry_info().unwrap();
        assert!(retry.retry_delay.is_some_and(|delay| !delay.is_zero()));
        assert!(!format!("{refused:?}").contains("password"), "nothing internal is told");
    }
    service.fixture.store.switch(true);
    assert!(service.validate(service.basic(), ask(&token)).await.is_ok());
}

/// What a client gets of a message that was sent.
pub(super) fn received<T: prost::Message + Default>(sent: &impl prost::Message) -> T {
    let bytes = sent.encode_to_vec();
    assert_eq!(bytes.len(), sent.encoded_len());
    T::decode(bytes.as_slice()).unwrap()
}
