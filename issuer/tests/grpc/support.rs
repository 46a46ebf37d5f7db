//! An issuer over the embedded store, and what its tests ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{Entropy, Namespace, SecretHash, Store, SystemClock, SystemEntropy};
use tokenbind_issuer::Issuer;
use tokenbind_issuer::applications::Applications;
use tokenbind_issuer::catalog::Catalog;
use tokenbind_issuer::directory::Directory;
use tokenbind_issuer::opaque::OpaqueKeys;
use tokenbind_issuer::password::{PasswordPool, hash_password};
use tokenbind_issuer::run::{self, IssuerSetup};
use tokenbind_issuer::signing::KeyRing;
use tokenbind_issuer::throttle::{PeerAddresses, Throttle};
use tokenbind_issuer::transport::http::HttpSettings;
use tokenbind_issuer::trust::Trust;
use tokenbind_proto::index::v1::{ApplicationRecord, SecretDigest, UserRecord};
use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::token_service_client::TokenServiceClient;
use tokenbind_proto::v1::{
    Application, BindingType, ClientCredentialsGrant, GrantType, IssueTokenRequest, IssueTokenResponse, PasswordGrant,
    TokenFormat, User,
};
use tokenbind_runtime::config::ServerConfig;
use tokenbind_runtime::shutdown::Shutdown;
use tokenbind_runtime::tls::ServerTls;
use tokio::net::TcpListener;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

pub(crate) const SECRET: &str = "s:e cret";

pub(crate) fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn application(client_id: &str, format: TokenFormat, grants: &[GrantType]) -> ApplicationRecord {
    let application = Application {
        client_id: client_id.to_owned(),
        token_format: format.into(),
        binding_type: BindingType::ClientRequest.into(),
        grants: grants.iter().map(|grant| (*grant).into()).collect(),
        scopes: strings(&["read", "write"]),
        audiences: strings(&["orders"]),
        ..Application::default()
    };
    let secret = SecretDigest {
        sha256: SecretHash::of(SECRET).as_bytes().to_vec(),
        expires_at: 0,
    };
    ApplicationRecord {
        application: Some(application),
        secrets: vec![secret],
    }
}

/// Its tokens are bound to the certificate of its connection.
fn certificate_bound() -> ApplicationRecord {
    let mut record = application("mtls", TokenFormat::Jwt, &[GrantType::ClientCredentials]);
    if let Some(application) = &mut record.application {
        application.binding_type = BindingType::Certificate.into();
    }
    record
}

fn catalog() -> Catalog {
    let mut admin = application("admin", TokenFormat::Opaque, &[GrantType::ClientCredentials]);
    if let Some(admin) = &mut admin.application {
        admin.binding_type = BindingType::None.into();
        admin.scopes = strings(&["tokenbind.admin"]);
        admin.audiences = strings(&["tokenbind"]);
    }
    let both = [GrantType::Password, GrantType::ClientCredentials];
    let user = UserRecord {
        user: Some(User {
            username: "alice".to_owned(),
            ..User::default()
        }),
        password_hash: hash_password("password", &SystemEntropy).unwrap(),
    };
    let applications = vec![
        admin,
        application("shop", TokenFormat::Jwt, &both),
        application("bank", TokenFormat::Opaque, &both),
        certificate_bound(),
        application("service", TokenFormat::Jwt, &[GrantType::ClientCredentials]),
    ];
    Catalog::from_records(applications, vec![user], Vec::new()).unwrap()
}

/// An issuer on a port of its own, without TLS.
pub(crate) async fn start() -> Channel {
    let address = serve(None).await;
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint
        .connect_timeout(Duration::from_secs(5))
        .connect()
        .await
        .unwrap()
}

/// Where an issuer serves, on a port of its own. It ends with the test's runtime.
pub(crate) async fn serve(tls: Option<ServerTls>) -> SocketAddr {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let clock = Arc::new(SystemClock);
    let memory = MemoryIndex::new(clock.clone());
    let opaque_keys = Arc::new(OpaqueKeys::generate(entropy.as_ref()));
    let throttle = Throttle::new(
        Arc::new(memory.clone()),
        Arc::clone(&opaque_keys),
        clock.clone(),
        PeerAddresses::Tell,
    );
    let store: Arc<dyn Store> = Arc::new(memory.clone());
    let issuer = Issuer {
        applications: Arc::new(Applications::new(Arc::clone(&store), Some(Arc::new(memory)))),
        store,
        directory: Directory::default(),
        throttle: Arc::new(throttle),
        trust: Arc::new(Trust::nobody(clock.clone()).into()),
        clock,
        namespace: Namespace::default(),
        issuer_url: "https://issuer.example".into(),
        keys: Arc::new(KeyRing::generate(entropy.as_ref()).unwrap()),
        opaque_keys,
        last_keys: Arc::default(),
        key_wait: Duration::ZERO,
        rotation: None,
        passwords: Arc::new(PasswordPool::for_this_machine(entropy.as_ref()).unwrap()),
        entropy,
    };
    let setup = IssuerSetup {
        issuer,
        catalog: Some(catalog().into()),
        http: HttpSettings::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = ServerConfig {
        tls,
        ..ServerConfig::new(address)
    };
    tokio::spawn(run::serve(listener, setup, config, Shutdown::manual()));
    address
}

pub(crate) fn grant() -> Grant {
    Grant::ClientCredentials(ClientCredentialsGrant {})
}

pub(crate) fn asked(client_id: &str, binding_id: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        grant: Some(grant()),
        client_id: client_id.to_owned(),
        client_secret: SECRET.to_owned(),
        token_binding_id: binding_id.to_owned(),
        ..IssueTokenRequest::default()
    }
}

pub(crate) fn for_alice(client_id: &str, password: &str, binding_id: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        grant: Some(Grant::Password(PasswordGrant {
            username: "alice".to_owned(),
            password: password.to_owned(),
        })),
        ..asked(client_id, binding_id)
    }
}

pub(crate) async fn issue(
    channel: &Channel,
    request: impl tonic::IntoRequest<IssueTokenRequest>,
) -> Result<IssueTokenResponse, Status> {
    let mut client = TokenServiceClient::new(channel.clone());
    Ok(client.issue_token(request).await?.into_inner())
}

pub(crate) fn with<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", authorization.parse().unwrap());
    request
}

/// RFC 6749, section 2.3.1: form-encoded, then joined.
pub(crate) fn basic(client_id: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client_id}:s%3Ae+cret")))
}

pub(crate) fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, "tokenbind");
    info.reason
}

pub(crate) fn fields(status: &Status) -> Vec<String> {
    let request = status.get_details_bad_request().unwrap();
    request
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}
