//! An issuer and a validator as processes of their own, with the URLs that the metadata names, and what every client needs.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokenbind_tests::{
    ADMIN_SECRET, ADMIN_SECRET_SHA256, DEADLINE, Installation, Process, RedisServer, free_port, health,
    start_validator_at, wait_until,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::keys::{Algorithm, application_key, certified};

/// The secret of everything that has one.
pub(crate) const SECRET: &str = ADMIN_SECRET;
/// The resource; also its audience.
pub(crate) const RESOURCE: &str = "orders-api";
pub(crate) const USERNAME: &str = "alice";
pub(crate) const PASSWORD: &str = "wonderland";
/// Argon2id of [`PASSWORD`].
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cJfp0usvw2x75lbfd9W48g$be5RARabs23fuXPzqdxKj5DtVLOdscgo2XGxN1WtrA4";
/// With which the validator signs what it says.
const INTROSPECTION: Algorithm = Algorithm::Rs256;

/// How the services are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn url(self, port: u16) -> String {
        match self {
            Self::Http => format!("http://localhost:{port}"),
            Self::Https => format!("https://localhost:{port}"),
        }
    }
}

/// Running services.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) scheme: Scheme,
    pub(crate) signing: Algorithm,
    pub(crate) issuer_url: String,
    pub(crate) validator_url: String,
    /// An API behind an Envoy, if there is one.
    pub(crate) envoy: Option<String>,
    /// The private key of the application that signs, as PEM.
    application_key: String,
    /// The authority of the certificates, certificate and key.
    folder: TempDir,
    _processes: [Process; 2],
    _installation: Installation,
    _redis: RedisServer,
}

impl Setting {
    /// Starts them, and waits until they serve.
    pub(crate) async fn start(scheme: Scheme, signing: Algorithm) -> Self {
        let redis = RedisServer::start();
        let installation = Installation::new(redis.url());
        let folder = folder(scheme);
        std::fs::write(installation.signing_key(), signing.private_key()).unwrap();
        let (application_key, application_keys) = application_key();
        installation.declare(&catalog(&application_keys));
        // The metadata names both, so they must be known beforehand.
        let (issuer_port, validator_port) = (free_port(), free_port());
        let (issuer_url, validator_url) = (scheme.url(issuer_port), scheme.url(validator_port));
        let tls = tls_arguments(scheme, &folder);
        let tls: Vec<_> = tls.iter().map(String::as_str).collect();
        let introspection = format!("{validator_url}/oauth2/introspect");
        let introspection_key = folder.path().join("introspection.pem").display().to_string();
        let validator = [
            "--introspection-issuer",
            &validator_url,
            "--introspection-signing-key",
            &introspection_key,
        ];
        let issuer = ["--issuer", &issuer_url, "--introspection-endpoint", &introspection];
        let (issuer, _) = installation.start_issuer_at(&address(issuer_port), &[&issuer[..], &tls].concat());
        let (validator, _) =
            start_validator_at(&address(validator_port), &redis.url(), &[&validator[..], &tls].concat());
        let setting = Self {
            scheme,
            signing,
            issuer_url,
            validator_url,
            envoy: None,
            application_key,
            folder,
            _processes: [issuer, validator],
            _installation: installation,
            _redis: redis,
        };
        setting.ready().await;
        setting
    }

    async fn ready(&self) {
        for url in [&self.issuer_url, &self.validator_url] {
            let channel = self.channel(url);
            wait_until(&format!("{url} serves"), DEADLINE, async || {
                (health(&channel, "").await == Some(ServingStatus::Serving)).then_some(())
            })
            .await;
        }
    }

    fn channel(&self, url: &str) -> Channel {
        let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
        let Some(authority) = self.authority() else {
            return endpoint.connect_lazy();
        };
        let authority = Certificate::from_pem(std::fs::read(authority).unwrap());
        let tls = ClientTlsConfig::new().ca_certificate(authority);
        endpoint.tls_config(tls).unwrap().connect_lazy()
    }

    /// Whom a client must trust, as a file in PEM.
    pub(crate) fn authority(&self) -> Option<PathBuf> {
        (self.scheme == Scheme::Https).then(|| self.folder.path().join("authority.pem"))
    }

    /// What the scripts are told.
    pub(crate) fn for_scripts(&self) -> Value {
        json!({
            "issuer": self.issuer_url,
            "validator": self.validator_url,
            "envoy": self.envoy,
            "secret": SECRET,
            "username": USERNAME,
            "password": PASSWORD,
            "resource_id": RESOURCE,
            "private_key_pem": self.application_key,
            "signing_alg": self.signing.name(),
            "introspection_alg": INTROSPECTION.name(),
        })
    }
}

fn folder(scheme: Scheme) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    if scheme == Scheme::Https {
        let certified = certified();
        write("authority.pem", &certified.authority);
        write("certificate.pem", &certified.certificate);
        write("key.pem", &certified.key);
    }
    write("introspection.pem", &INTROSPECTION.private_key());
    folder
}

fn tls_arguments(scheme: Scheme, folder: &TempDir) -> Vec<String> {
    let file = |name: &str| folder.path().join(name).display().to_string();
    match scheme {
        Scheme::Http => Vec::new(),
        Scheme::Https => ["--tls-cert", &file("certificate.pem"), "--tls-key", &file("key.pem")]
            .map(str::to_owned)
            .into(),
    }
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// An application for each way to authenticate. What one may is what all may, as far as the way allows.
fn catalog(keys: &Value) -> String {
    let secret = format!("secret_sha256: [{ADMIN_SECRET_SHA256}]");
    let signs = format!("client_authentication: {{methods: [private_key_jwt], jwks: '{keys}'}}");
    let public = "client_authentication: {methods: [none]}".to_owned();
    let all = "password, refresh_token, client_credentials, token_exchange";
    let applications = [
        ("shop-jwt", "jwt", all, &secret),
        ("shop-opaque", "opaque", all, &secret),
        ("shop-signs", "jwt", all, &signs),
        ("shop-public", "opaque", "password, refresh_token", &public),
    ];
    let application = |(client_id, format, grants, authentication): &(&str, &str, &str, &String)| {
        format!(
            "  - client_id: {client_id}\n    token_format: {format}\n    binding_type: client-request\n    grants: [{grants}]\n    \
             scopes: [orders.delete, orders.read, orders.write]\n    default_scopes: [orders.read]\n    \
             audiences: [orders-api, stock-api]\n    default_audiences: [orders-api]\n    {authentication}\n"
        )
    };
    format!(
        "{}users:\n  - username: {USERNAME}\n    password_hash: \"{PASSWORD_HASH}\"\n\
         resources:\n  - resource_id: {RESOURCE}\n    {secret}\n\
         exchange_policies:\n  - name: shops\n    client_ids: [shop-opaque]\n    subject_client_ids: [shop-jwt]\n    \
         audiences: [orders-api]\n    scopes: [orders.read]\n  - name: shops for shops\n    client_ids: [shop-opaque]\n    \
         subject_client_ids: [shop-jwt]\n    actor_client_ids: [shop-opaque]\n    audiences: [orders-api]\n    \
         scopes: [orders.read]\n",
        applications.iter().map(application).collect::<String>()
    )
}
