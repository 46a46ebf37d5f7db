//! One issuer and one validator, and an administrator who fills them: the same for every backend.

use std::ops::Deref;

use prost_types::FieldMask;
use tokenbind_proto::v1::{
    Application, BindingType, CreateApplicationRequest, CreateResourceRequest, CreateUserRequest, GrantType,
    Resource as Api, TokenFormat, UpdateApplicationRequest, User,
};
use tonic::{Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::ask::{Ask as _, client_credentials};
use crate::client::{App, Client, Resource, bearer, health, with_authorization};
use crate::deadline::{DEADLINE, wait_until};
use crate::dev::DevStack;
use crate::process::Process;
use crate::redis_server::RedisServer;
use crate::services::{ADMIN_ID, ADMIN_SECRET, Installation, start_validator};

/// What the services stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The development stack: one process, embedded index.
    Memory,
    /// An issuer and a validator as processes of their own, over a Redis.
    Redis,
}

/// Running services, and their administrator.
#[derive(Debug)]
pub struct Stack {
    client: Client,
    admin_token: String,
    /// Where its issuer is.
    pub issuer_address: String,
    /// Where its validator is.
    pub validator_address: String,
    /// Its Redis; none in the development stack.
    pub redis: Option<RedisServer>,
    /// What its issuers share; none in the development stack.
    pub installation: Option<Installation>,
    /// Its processes: the stack, or issuer and validator.
    pub processes: Vec<Process>,
}

impl Deref for Stack {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Stack {
    /// Starts it, and waits until it serves.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    /// Starts it with further arguments for each process.
    pub async fn start_with(backend: Backend, arguments: &[&str]) -> Self {
        match backend {
            Backend::Memory => Self::memory(arguments).await,
            Backend::Redis => Self::redis(arguments, arguments).await,
        }
    }

    /// Starts it with sections of a catalog file beside what it always has: trusted issuers, exchange policies.
    pub async fn start_declaring(backend: Backend, sections: &str) -> Self {
        match backend {
            Backend::Memory => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let path = folder.path().join("catalog.yaml");
                std::fs::write(&path, format!("version: 1\n{sections}")).expect("a catalog");
                let path = path.to_str().expect("a path in UTF-8").to_owned();
                Self::memory(&["--catalog", &path]).await
            }
            Backend::Redis => {
                let redis = RedisServer::start();
                let installation = Installation::new(redis.url());
                installation.declare(sections);
                Self::over(redis, installation, &[], &[]).await
            }
        }
    }

    async fn memory(arguments: &[&str]) -> Self {
        let arguments = [&["--caller-auth"], arguments].concat();
        let dev = DevStack::start(&arguments);
        let client = Client::new(dev.issuer(), dev.validator());
        let admin_token = admin_token(&client, &dev.admin()).await;
        Self {
            client,
            admin_token,
            issuer_address: dev.issuer().to_owned(),
            validator_address: dev.validator().to_owned(),
            redis: None,
            installation: None,
            processes: vec![dev.process],
        }
    }

    /// Starts an issuer and a validator, each with arguments of its own, over a Redis of their own.
    pub async fn redis(issuer_arguments: &[&str], validator_arguments: &[&str]) -> Self {
        let redis = RedisServer::start();
        let installation = Installation::new(redis.url());
        Self::over(redis, installation, issuer_arguments, validator_arguments).await
    }

    /// The same over a Redis and with files that the test has prepared.
    pub async fn over(
        redis: RedisServer,
        installation: Installation,
        issuer_arguments: &[&str],
        validator_arguments: &[&str],
    ) -> Self {
        let stack = Self::installed(installation, issuer_arguments, validator_arguments).await;
        Self {
            redis: Some(redis),
            ..stack
        }
    }

    /// The same over whatever the installation says, which the test looks after.
    pub async fn installed(
        installation: Installation,
        issuer_arguments: &[&str],
        validator_arguments: &[&str],
    ) -> Self {
        let (issuer, issuer_address) = installation.start_issuer(issuer_arguments);
        let (validator, validator_address) = start_validator(installation.redis_url(), validator_arguments);
        let client = Client::new(&issuer_address, &validator_address);
        let operator = App {
            id: ADMIN_ID.to_owned(),
            secret: ADMIN_SECRET.to_owned(),
        };
        client.ready().await;
        let admin_token = admin_token(&client, &operator).await;
        Self {
            client,
            admin_token,
            issuer_address,
            validator_address,
            redis: None,
            installation: Some(installation),
            processes: vec![issuer, validator],
        }
    }

    /// The client, to be moved to another task.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The token with which the administrator calls.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// A request of the administrator.
    pub fn as_admin<T>(&self, message: T) -> Request<T> {
        with_authorization(message, &bearer(&self.admin_token))
    }

    /// Creates an application.
    pub async fn create_app(&self, application: Application) -> Result<App, Status> {
        let request = self.as_admin(CreateApplicationRequest {
            application: Some(application),
        });
        let answer = self.applications().create_application(request).await?.into_inner();
        Ok(App {
            id: answer.application.unwrap_or_default().client_id,
            secret: answer.client_secret,
        })
    }

    /// Creates the usual [`shop`].
    pub async fn shop(&self, client_id: &str, format: TokenFormat) -> App {
        self.create_app(shop(client_id, format)).await.expect("an application")
    }

    /// Changes fields of an application.
    pub async fn update_app(&self, application: Application, fields: &[&str]) -> Result<(), Status> {
        let request = self.as_admin(UpdateApplicationRequest {
            application: Some(application),
            update_mask: Some(mask(fields)),
        });
        self.applications().update_application(request).await.map(drop)
    }

    /// Creates a user.
    pub async fn create_user(&self, user: User, password: &str) -> Result<(), Status> {
        let request = self.as_admin(CreateUserRequest {
            user: Some(user),
            password: password.to_owned(),
        });
        self.users().create_user(request).await.map(drop)
    }

    /// Creates a user of whom nothing but the name is known.
    pub async fn user(&self, username: &str, password: &str) {
        let user = User {
            username: username.to_owned(),
            ..Default::default()
        };
        self.create_user(user, password).await.expect("a user");
    }

    /// Creates a resource.
    pub async fn create_resource(&self, resource: Api) -> Result<Resource, Status> {
        let request = self.as_admin(CreateResourceRequest {
            resource: Some(resource),
        });
        let answer = self.resources().create_resource(request).await?.into_inner();
        Ok(Resource {
            id: answer.resource.unwrap_or_default().resource_id,
            secret: answer.resource_secret,
        })
    }

    /// Creates the usual [`api`] that accepts these applications.
    pub async fn api(&self, resource_id: &str, accepted: &[&App]) -> Resource {
        self.create_resource(api(resource_id, accepted))
            .await
            .expect("a resource")
    }
}

impl Client {
    /// Waits until both services say that they serve.
    pub async fn ready(&self) {
        for (name, channel) in [("the issuer", &self.issuer), ("the validator", &self.validator)] {
            let what = format!("{name} serves");
            wait_until(&what, DEADLINE, async || {
                let status = health(channel, "").await;
                (status == Some(ServingStatus::Serving)).then_some(())
            })
            .await;
        }
    }
}

async fn admin_token(client: &Client, admin: &App) -> String {
    let request = client_credentials()
        .scopes(&["tokenbind.admin"])
        .audiences(&["tokenbind"]);
    let answer = client.issue(admin, request).await;
    answer.expect("a token for administration").access_token
}

/// A field mask.
pub fn mask(fields: &[&str]) -> FieldMask {
    FieldMask {
        paths: fields.iter().map(ToString::to_string).collect(),
    }
}

/// The usual application: bound by client-request, every grant, three scopes of which it gets one by default, two audiences
/// of which it gets one by default.
pub fn shop(client_id: &str, format: TokenFormat) -> Application {
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    Application {
        client_id: client_id.to_owned(),
        token_format: format.into(),
        binding_type: BindingType::ClientRequest.into(),
        grants: vec![GrantType::Password.into(), GrantType::ClientCredentials.into()],
        scopes: texts(&["orders.delete", "orders.read", "orders.write"]),
        default_scopes: texts(&["orders.read"]),
        audiences: texts(&["orders-api", "stock-api"]),
        default_audiences: texts(&["orders-api"]),
        ..Default::default()
    }
}

/// The usual resource: both audiences of a [`shop`], every scope.
pub fn api(resource_id: &str, accepted: &[&App]) -> Api {
    Api {
        resource_id: resource_id.to_owned(),
        audiences: vec!["orders-api".to_owned(), "stock-api".to_owned()],
        accepted_client_ids: accepted.iter().map(|app| app.id.clone()).collect(),
        ..Default::default()
    }
}

/// Makes a test of each function, once for each backend.
#[macro_export]
macro_rules! on_every_backend {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Stack::start($crate::Backend::Memory).await).await;
            })+
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Stack::start($crate::Backend::Redis).await).await;
            })+
        }
    };
}
