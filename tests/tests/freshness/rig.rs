//! An issuer and several validators over one Redis, some behind a proxy, and applications in any number.

use std::time::Duration;

use futures::future::join_all;
use tokenbind_proto::v1::{
    IssueTokenResponse, RevokeApplicationRequest, RevokeBindingRequest, RevokeSubjectRequest, TokenFormat,
};
use tokenbind_tests::{
    ADMIN_ID, ADMIN_SECRET, ADMIN_SECRET_SHA256, App, Ask as _, Client, DEADLINE, Installation, Process, Proxy,
    RedisServer, Resource, bearer, client_credentials, health, start_validator, wait_until, with_authorization,
};
use tonic::Status;
use tonic_health::pb::health_check_response::ServingStatus;

/// How long what is kept may be used after Redis was last heard.
pub(crate) const LEASE: Duration = Duration::from_millis(500);
/// The same as an argument.
const LEASE_MS: &str = "500";
/// How long the tokens of [`Rig::short_lived`] live.
pub(crate) const SHORT_LIFE: Duration = Duration::from_secs(2);

/// A validator, and what is between it and Redis.
pub(crate) struct Validator {
    pub(crate) client: Client,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) process: Process,
}

impl Validator {
    async fn start(issuer: &str, redis: &RedisServer, behind_proxy: bool) -> Self {
        let proxy = behind_proxy.then(|| Proxy::start(redis.port()));
        let url = proxy.as_ref().map_or_else(|| redis.url(), Proxy::url);
        let (process, address) = start_validator(&url, &["--lease-ms", LEASE_MS]);
        let client = Client::new(issuer, &address);
        client.ready().await;
        Self { client, proxy, process }
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap()
    }

    pub(crate) async fn wait_for_health(&self, status: ServingStatus) {
        wait_until(&format!("the validator is {status:?}"), DEADLINE, async || {
            (health(&self.client.validator, "").await == Some(status)).then_some(())
        })
        .await;
    }
}

/// Everything that a test of this suite runs on.
pub(crate) struct Rig {
    pub(crate) redis: RedisServer,
    pub(crate) validators: Vec<Validator>,
    pub(crate) api: Resource,
    admin_token: String,
    _issuer: Process,
}

impl Rig {
    /// With so many applications of each format, and a validator for each element: `true` is one behind a proxy.
    pub(crate) async fn start(applications: usize, validators: &[bool]) -> Self {
        Self::over(RedisServer::start(), applications, validators).await
    }

    pub(crate) async fn over(redis: RedisServer, applications: usize, validators: &[bool]) -> Self {
        let installation = Installation::new(redis.url());
        installation.declare(&catalog(applications));
        let (issuer, address) = installation.start_issuer(&[]);
        let started = validators
            .iter()
            .map(|behind_proxy| Validator::start(&address, &redis, *behind_proxy));
        let validators = join_all(started).await;
        let admin = client_credentials()
            .scopes(&["tokenbind.admin"])
            .audiences(&["tokenbind"]);
        let admin_token = validators[0].client.issue(&app(ADMIN_ID), admin).await;
        Self {
            redis,
            validators,
            api: Resource {
                id: "orders-api".to_owned(),
                secret: ADMIN_SECRET.to_owned(),
            },
            admin_token: admin_token.unwrap().access_token,
            _issuer: issuer,
        }
    }

    /// For calls to the issuer.
    pub(crate) fn issuer(&self) -> &Client {
        &self.validators[0].client
    }

    /// The application of this number.
    pub(crate) fn app(format: TokenFormat, number: usize) -> App {
        app(&format!("{}-{number}", word(format)))
    }

    /// One whose tokens live for [`SHORT_LIFE`].
    pub(crate) fn short_lived(format: TokenFormat) -> App {
        app(&format!("{}-short", word(format)))
    }

    pub(crate) async fn issue(&self, app: &App, device: &str) -> IssueTokenResponse {
        let request = client_credentials().bound_to(device);
        self.issuer().issue(app, request).await.unwrap()
    }

    /// Tokens for devices of this name, of each format in turn.
    pub(crate) async fn tokens(&self, name: &str, count: usize) -> Vec<(App, String)> {
        let issued = (0..count).map(async |number| {
            let format = [TokenFormat::Jwt, TokenFormat::Opaque][number % 2];
            let app = Self::app(format, 0);
            let token = self.issue(&app, &format!("{name}-{number}")).await;
            (app, token.access_token)
        });
        join_all(issued).await
    }

    /// R1.
    pub(crate) async fn revoke_token(&self, app: &App, token: &str) -> Result<u64, Status> {
        Ok(self.issuer().revoke(app, token).await?.revision)
    }

    /// R2, of the application itself.
    pub(crate) async fn revoke_binding(&self, app: &App, device: &str) -> Result<u64, Status> {
        let message = RevokeBindingRequest {
            subject: app.id.clone(),
            client_id: app.id.clone(),
            token_binding_id: device.to_owned(),
        };
        let request = with_authorization(message, &bearer(&self.admin_token));
        let answer = self.issuer().bindings().revoke_binding(request).await?.into_inner();
        assert_eq!(answer.revoked, 1);
        Ok(answer.revision)
    }

    /// R3, of the application itself.
    pub(crate) async fn revoke_subject(&self, app: &App) -> Result<u64, Status> {
        let message = RevokeSubjectRequest {
            subject: app.id.clone(),
            client_id: String::new(),
        };
        let request = with_authorization(message, &bearer(&self.admin_token));
        let answer = self.issuer().bindings().revoke_subject(request).await?;
        Ok(answer.into_inner().revision)
    }

    /// R4.
    pub(crate) async fn revoke_application(&self, app: &App) -> Result<u64, Status> {
        let message = RevokeApplicationRequest {
            client_id: app.id.clone(),
        };
        let request = with_authorization(message, &bearer(&self.admin_token));
        let answer = self.issuer().bindings().revoke_application(request).await?;
        Ok(answer.into_inner().revision)
    }
}

fn app(id: &str) -> App {
    App {
        id: id.to_owned(),
        secret: ADMIN_SECRET.to_owned(),
    }
}

fn word(format: TokenFormat) -> &'static str {
    match format {
        TokenFormat::Jwt => "jwt",
        TokenFormat::Opaque => "opaque",
        TokenFormat::Unspecified => unreachable!("no test asks for it"),
    }
}

fn catalog(applications: usize) -> String {
    let mut declared = Vec::new();
    for format in ["jwt", "opaque"] {
        let numbered = (0..applications).map(|number| (format!("{format}-{number}"), 3_600));
        let short = (format!("{format}-short"), SHORT_LIFE.as_secs());
        declared.extend(numbered.chain([short]).map(|(id, lifetime)| (format, id, lifetime)));
    }
    let applications = declared.iter().map(|(format, id, lifetime)| {
        format!(
            "  - client_id: {id}\n    token_format: {format}\n    binding_type: client-request\n    \
             grants: [client_credentials]\n    scopes: [orders.read]\n    audiences: [orders-api]\n    \
             access_token_lifetime_seconds: {lifetime}\n    secret_sha256: [{ADMIN_SECRET_SHA256}]\n"
        )
    });
    let accepted: Vec<_> = declared.iter().map(|(_, id, _)| id.as_str()).collect();
    let resource = format!(
        "resources:\n  - resource_id: orders-api\n    accepted_client_ids: [{}]\n    secret_sha256: \
         [{ADMIN_SECRET_SHA256}]\n",
        accepted.join(", ")
    );
    applications.chain([resource]).collect()
}
