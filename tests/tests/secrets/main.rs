//! S18, A18: a canary in every secret, then a search of everything that anyone could read afterwards: all of Redis, what the
//! services sent to it, every log at its most talkative, every metric.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod canaries;
mod foreign;
mod watch;

use tokenbind_proto::v1::{
    Application, BindingType, GrantType, IntrospectTokenRequest, IssueTokenRequest, Presenter, RevokeBindingRequest,
    RevokeTokenRequest, RotateApplicationSecretRequest, TokenFormat, UpdateUserRequest, User, ValidateTokenRequest,
};
use tokenbind_tests::{
    App, Ask as _, Resource, Stack, basic, bearer, client_credentials, dump, exchange, exchange_with, jwt_bearer, mask,
    password, refresh, shop, with_authorization,
};
use tonic::Request;

use crate::canaries::Canaries;
use crate::watch::{Monitor, metrics};

const ARGUMENTS: &[&str] = &["--log", "trace", "--metrics-listen", "127.0.0.1:0"];

#[tokio::test]
async fn s18_a18_no_secret_is_readable_anywhere() {
    let mut stack = Stack::redis(ARGUMENTS, ARGUMENTS).await;
    let redis = stack.redis.as_ref().unwrap();
    let monitor = Monitor::start(redis.port());
    let mut canaries = Canaries::default();
    use_everything(&stack, &mut canaries).await;

    assert_unreadable(&mut stack, monitor, &canaries, "shop-jwt").await;
}

/// Searches everything that the stack, which has an application of this name, has left behind.
async fn assert_unreadable(stack: &mut Stack, monitor: Monitor, canaries: &Canaries, client_id: &str) {
    let redis = stack.redis.as_ref().unwrap();
    let mut evidence = dump(&mut redis.connection());
    assert!(evidence.len() > 20, "the dump has what was stored");
    evidence.push(monitor.stop());
    for process in &mut stack.processes {
        let address = process.logged_address("serving metrics");
        evidence.push(metrics(&address).await);
        evidence.push(process.log().into_bytes());
    }
    let evidence: Vec<_> = evidence.iter().map(|bytes| characters(bytes)).collect();
    for (name, form) in canaries.forms() {
        let form = characters(&form);
        let found = evidence.iter().find(|part| part.contains(&form));
        assert_eq!(found, None, "{name} is readable as {form:?}");
    }
    // The search itself finds what is there: keys in Redis, commands to it, names in the logs and in the metrics.
    for known in ["tokenbind:", client_id, "tokenbind_tokens_issued_total", "EVALSHA"] {
        assert!(evidence.iter().any(|part| part.contains(known)), "{known}");
    }
}

/// Each byte as the character of its number, so that bytes can be searched as fast as text.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

async fn use_everything(stack: &Stack, canaries: &mut Canaries) {
    let refreshing = |client_id, format| {
        let mut application = shop(client_id, format);
        application.grants.push(GrantType::RefreshToken.into());
        application
    };
    let jwt = stack
        .create_app(refreshing("shop-jwt", TokenFormat::Jwt))
        .await
        .unwrap();
    let opaque = refreshing("shop-opaque", TokenFormat::Opaque);
    let opaque = stack.create_app(opaque).await.unwrap();
    let api = stack.api("api", &[&jwt, &opaque]).await;
    for secret in [&jwt.secret, &opaque.secret, &api.secret] {
        canaries.add("a generated secret", secret);
    }
    let user_password = canaries.add("a password", "canary-password-0");
    stack.user("ada", &user_password).await;
    for app in [&jwt, &opaque] {
        succeed(stack, canaries, app, &api, &user_password).await;
        fail(stack, canaries, app, &api).await;
    }
    administer(stack, canaries, &jwt).await;
    canaries.add("the administrator's token", stack.admin_token());
}

/// Every way to get, show and revoke a token.
async fn succeed(stack: &Stack, canaries: &mut Canaries, app: &App, api: &Resource, user_password: &str) {
    for number in 0..3 {
        let id = canaries.add("a binding id", &format!("canary-device-{}-{number}", app.id));
        for ask in [client_credentials(), password("ada", user_password)] {
            for _ in 0..2 {
                let issued = stack.issue(app, ask.clone().bound_to(&id)).await.unwrap();
                assert_eq!(issued.binding.unwrap().r#type(), BindingType::ClientRequest);
                let token = canaries.add_token(&issued.access_token);
                show(stack, api, &token, &id).await;
                show(stack, api, &token, "canary-device-of-nobody").await;
            }
        }
        let mut login = stack
            .issue(app, password("ada", user_password).bound_to(&id))
            .await
            .unwrap();
        for _ in 0..2 {
            let token = canaries.add_token(&login.refresh_token);
            login = stack.issue(app, refresh(&token).bound_to(&id)).await.unwrap();
            canaries.add_token(&login.access_token);
        }
        let used = canaries.add_token(&login.refresh_token);
        stack.revoke(app, &used).await.unwrap();
        stack.issue(app, refresh(&used)).await.unwrap_err();
        let issued = stack.issue(app, client_credentials().bound_to(&id)).await.unwrap();
        stack.revoke(app, &issued.access_token).await.unwrap();
        canaries.add_token(&issued.access_token);
        let request = stack.as_admin(RevokeBindingRequest {
            subject: "user:ada".to_owned(),
            token_binding_id: id,
            ..Default::default()
        });
        stack.bindings().revoke_binding(request).await.unwrap();
    }
    canaries.add("a binding id", "canary-device-of-nobody");
    let live = stack.issue(app, client_credentials()).await.unwrap();
    canaries.add_token(&live.access_token);
}

async fn show(stack: &Stack, api: &Resource, token: &str, id: &str) {
    let presenter = Presenter {
        token_binding_id: id.to_owned(),
        ..Default::default()
    };
    let question = ValidateTokenRequest {
        token: token.to_owned(),
        presenter: Some(presenter),
        ..Default::default()
    };
    stack.judge(api, question).await.unwrap();
    stack.introspect(api, token).await.unwrap();
}

/// Every secret where it is wrong, too long, or in the wrong place.
async fn fail(stack: &Stack, canaries: &mut Canaries, app: &App, api: &Resource) {
    let wrong = canaries.add("a wrong secret", &format!("canary-wrong-secret-{}", app.id));
    let long = canaries.add("a long value", &"canary-too-long-".repeat(600));
    let ask = |id: &str| client_credentials().by(id, &wrong);
    let requests: [IssueTokenRequest; 5] = [
        ask(&app.id),
        ask("nobody"),
        client_credentials().by(&app.id, &app.secret).bound_to(&long),
        client_credentials().by(&app.id, &long),
        password("ada", &wrong)
            .by(&app.id, &app.secret)
            .bound_to("canary-device-of-nobody"),
    ];
    for request in requests {
        stack.tokens().issue_token(request).await.unwrap_err();
    }
    let exchanger = Application {
        grants: [GrantType::TokenExchange, GrantType::JwtBearer].map(Into::into).into(),
        ..shop(&format!("exchanger-{}", app.id), TokenFormat::Jwt)
    };
    let exchanger = stack.create_app(exchanger).await.unwrap();
    let forged = format!("eyJhbGciOiJFZERTQSJ9.{wrong}.{wrong}");
    for token in [&wrong, &forged] {
        for request in [exchange(token), exchange_with(token, token), jwt_bearer(token)] {
            stack.issue(&exchanger, request).await.unwrap_err();
        }
        let mut asserting = client_credentials();
        asserting.client_assertion.clone_from(token);
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".clone_into(&mut asserting.client_assertion_type);
        stack.tokens().issue_token(asserting).await.unwrap_err();
    }
    for header in [
        basic(&app.id, &wrong),
        bearer(&wrong),
        format!("Canary {wrong}"),
        format!("Basic {wrong}"),
    ] {
        stack
            .tokens()
            .issue_token(with_authorization(client_credentials(), &header))
            .await
            .unwrap_err();
        let question = ValidateTokenRequest {
            token: wrong.clone(),
            ..Default::default()
        };
        stack
            .validation()
            .validate_token(with_authorization(question, &header))
            .await
            .unwrap_err();
        let introspection = IntrospectTokenRequest {
            token: wrong.clone(),
            ..Default::default()
        };
        stack
            .validation()
            .introspect_token(with_authorization(introspection, &header))
            .await
            .unwrap_err();
    }
    for token in [
        format!("{wrong}.{wrong}.{wrong}"),
        format!("tbo_{wrong}"),
        wrong.clone(),
    ] {
        stack.validate(api, &token).await;
        stack.revoke(app, &token).await.unwrap();
    }
    let too_long = RevokeTokenRequest {
        token: long,
        client_id: app.id.clone(),
        client_secret: app.secret.clone(),
        ..Default::default()
    };
    stack.tokens().revoke_token(too_long).await.unwrap_err();
    let mut request = Request::new(client_credentials().by(&app.id, &app.secret));
    let value = canaries.add("an unknown header", "canary-header-value");
    request.metadata_mut().insert("x-canary", value.parse().unwrap());
    stack.tokens().issue_token(request).await.unwrap();
}

async fn administer(stack: &Stack, canaries: &mut Canaries, app: &App) {
    let request = stack.as_admin(RotateApplicationSecretRequest {
        client_id: app.id.clone(),
        overlap_seconds: 60,
    });
    let rotated = stack.applications().rotate_application_secret(request).await.unwrap();
    canaries.add("a rotated secret", &rotated.into_inner().client_secret);
    let changed = canaries.add("a changed password", "canary-password-1");
    let user = || User {
        username: "ada".to_owned(),
        ..Default::default()
    };
    let request = stack.as_admin(UpdateUserRequest {
        user: Some(user()),
        update_mask: Some(mask(&["password"])),
        password: changed.clone(),
    });
    stack.users().update_user(request).await.unwrap();
    stack.create_user(user(), &changed).await.unwrap_err();
    let invalid = User {
        username: String::new(),
        ..Default::default()
    };
    stack.create_user(invalid, &changed).await.unwrap_err();
}
