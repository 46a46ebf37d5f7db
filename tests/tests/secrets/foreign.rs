//! A18: what others signed and what an application signed, used well.

use serde_json::{Value, json};
use tokenbind_proto::v1::client_authentication::Keys;
use tokenbind_proto::v1::{
    Application, ClientAuthentication, ClientAuthenticationMethod as Method, GrantType, IssueTokenRequest, TokenFormat,
};
use tokenbind_tests::{
    Ask as _, Behaviour, ForeignIssuer, ForeignKey, Installation, RedisServer, Stack, client_credentials, exchange,
    exchange_with, jwt_bearer, now, shop,
};

use crate::canaries::Canaries;
use crate::watch::Monitor;
use crate::{ARGUMENTS, assert_unreadable};

const OWN: &str = "http://localhost:7001";

fn sections(cluster: &ForeignIssuer) -> String {
    let url = cluster.url();
    let uri = cluster.jwks_uri();
    format!(
        "trusted_issuers:\n  - name: cluster\n    issuer: {url}\n    algorithms: [EdDSA]\n    jwks_uri: {uri}\n\
         exchange_policies:\n  - name: accounts\n    grants: [jwt_bearer, token_exchange]\n    client_ids: [signs]\n    \
         subject_issuer: cluster\n    subjects: [\"robot-*\"]\n    audiences: [orders-api]\n    scopes: [orders.read]\n  \
         - name: delegation\n    client_ids: [signs]\n    subject_client_ids: [signs]\n    actor_issuer: cluster\n    \
         actors: [\"robot-*\"]\n    audiences: [orders-api]\n    scopes: [orders.read]\n"
    )
}

fn application(own: &ForeignKey) -> Application {
    Application {
        grants: [
            GrantType::ClientCredentials,
            GrantType::TokenExchange,
            GrantType::JwtBearer,
        ]
        .map(Into::into)
        .into(),
        client_authentication: Some(ClientAuthentication {
            methods: vec![Method::PrivateKeyJwt.into()],
            keys: Some(Keys::JwksJson(own.jwks().to_string())),
            ..ClientAuthentication::default()
        }),
        ..shop("signs", TokenFormat::Opaque)
    }
}

#[tokio::test]
async fn s18_a18_no_assertion_is_readable_anywhere() {
    let (key, own) = (ForeignKey::new("cluster"), ForeignKey::new("own"));
    let cluster = ForeignIssuer::start(Behaviour::Serve(key.jwks())).await;
    let redis = RedisServer::start();
    let monitor = Monitor::start(redis.port());
    let installation = Installation::new(redis.url());
    installation.declare(&sections(&cluster));
    let mut stack = Stack::over(redis, installation, ARGUMENTS, ARGUMENTS).await;
    stack.create_app(application(&own)).await.unwrap();
    let mut canaries = Canaries::default();

    let mut number = 0;
    let claims = |issuer: &str, subject: &str, number: u32| -> Value {
        json!({"iss": issuer, "sub": subject, "aud": OWN, "exp": now() + 60, "iat": now(), "jti": format!("{number}")})
    };
    let mut ask = async |mut request: IssueTokenRequest, canaries: &mut Canaries| {
        number += 1;
        let assertion = canaries.add_token(&own.sign(&claims("signs", "signs", number)));
        request.client_assertion = assertion;
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".clone_into(&mut request.client_assertion_type);
        let issued = stack.tokens().issue_token(request).await.unwrap().into_inner();
        canaries.add_token(&issued.access_token)
    };
    let device = canaries.add("a binding id", "canary-device-of-a-robot");
    let token = ask(client_credentials().bound_to(&device), &mut canaries).await;
    let robot = |canaries: &mut Canaries, number| {
        let claims = claims(&cluster.url(), "robot-1", number);
        canaries.add_token(&key.sign(&claims))
    };
    let subject = robot(&mut canaries, 101);
    ask(exchange(&subject).bound_to(&device), &mut canaries).await;
    let actor = robot(&mut canaries, 102);
    ask(exchange_with(&token, &actor).bound_to(&device), &mut canaries).await;
    let assertion = robot(&mut canaries, 103);
    ask(jwt_bearer(&assertion), &mut canaries).await;
    assert_unreadable(&mut stack, monitor, &canaries, "signs").await;
}
