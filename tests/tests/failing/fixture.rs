//! What most tests of this suite begin with.

use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{
    ADMIN_SECRET, ADMIN_SECRET_SHA256, App, Client, DEADLINE, Installation, RedisServer, Resource, Stack, health,
    retry_after, wait_until,
};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;

/// One application of each format, and a resource that accepts both, all declared in the catalog.
pub(crate) struct Declared {
    pub(crate) stack: Stack,
    pub(crate) jwt: App,
    pub(crate) opaque: App,
    pub(crate) api: Resource,
}

impl Declared {
    pub(crate) async fn start() -> Self {
        Self::over(RedisServer::start()).await
    }

    pub(crate) async fn over(redis: RedisServer) -> Self {
        let installation = Installation::new(redis.url());
        let application = |name: &str| {
            format!(
                "  - client_id: {name}\n    token_format: {name}\n    binding_type: client-request\n    \
                 grants: [client_credentials]\n    scopes: [orders.read]\n    audiences: [orders-api]\n    \
                 secret_sha256: [{ADMIN_SECRET_SHA256}]\n"
            )
        };
        let resource = format!(
            "resources:\n  - resource_id: orders-api\n    accepted_client_ids: [jwt, opaque]\n    \
             secret_sha256: [{ADMIN_SECRET_SHA256}]\n"
        );
        installation.declare(&(application("jwt") + &application("opaque") + &resource));
        let app = |id: &str| App {
            id: id.to_owned(),
            secret: ADMIN_SECRET.to_owned(),
        };
        Self {
            stack: Stack::over(redis, installation, &[], &[]).await,
            jwt: app("jwt"),
            opaque: app("opaque"),
            api: Resource {
                id: "orders-api".to_owned(),
                secret: ADMIN_SECRET.to_owned(),
            },
        }
    }

    pub(crate) fn both(&self) -> [(&App, TokenFormat); 2] {
        [(&self.jwt, TokenFormat::Jwt), (&self.opaque, TokenFormat::Opaque)]
    }

    pub(crate) fn redis(&mut self) -> &mut RedisServer {
        self.stack.redis.as_mut().unwrap()
    }
}

/// V10, C25: it cannot be done now, and the caller is told when to try again.
#[track_caller]
pub(crate) fn assert_unavailable(error: &Status) {
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert_eq!(tokenbind_tests::reason(error), "temporarily_unavailable");
    assert!(retry_after(error).is_some_and(|delay| !delay.is_zero()), "{error:?}");
    // Nothing internal leaks.
    for word in ["redis", "connection", "127.0.0.1", "broken pipe"] {
        assert!(!error.message().to_lowercase().contains(word), "{error:?}");
    }
}

/// Waits until both services, as a whole and each by its name, say this.
pub(crate) async fn wait_for_health(client: &Client, status: ServingStatus) {
    let services: [(&Channel, &str); 4] = [
        (&client.issuer, ""),
        (&client.issuer, "tokenbind.v1.TokenService"),
        (&client.validator, ""),
        (&client.validator, "tokenbind.v1.ValidationService"),
    ];
    for (channel, service) in services {
        wait_until(&format!("{service:?} is {status:?}"), DEADLINE, async || {
            (health(channel, service).await == Some(status)).then_some(())
        })
        .await;
    }
}
