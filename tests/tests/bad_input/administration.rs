//! `ApplicationService`, `UserService`, `ResourceService`

use tokenbind_proto::v1::claim_mapping::Value;
use tokenbind_proto::v1::{
    Application, BindingLimitPolicy, BindingType, ClaimMapping, GetApplicationRequest, GetUserRequest, GrantType,
    ListApplicationsRequest, Resource, RotateApplicationSecretRequest, TokenFormat, UpdateApplicationRequest, User,
};
use tokenbind_tests::{
    ADMIN_ID, Backend, Stack, api, basic, bearer, client_credentials, mask, on_every_backend, reason, shop,
    with_authorization,
};
use tonic::Code;

use crate::{Spoiled, assert_violations};

on_every_backend!(
    each_field_of_an_application_has_a_limit,
    each_field_of_a_user_has_a_limit,
    each_field_of_a_resource_has_a_limit,
    each_field_of_the_other_requests_has_a_limit,
    an_id_is_taken_once,
    only_an_administrator_administers,
);

fn many(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("name-{number}")).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn claim(name: &str, value: Option<Value>) -> Vec<ClaimMapping> {
    vec![ClaimMapping {
        name: name.to_owned(),
        value,
    }]
}

fn fixed(length: usize) -> Value {
    Value::StaticValue("x".repeat(length))
}

const APPLICATION: &[Spoiled<Application>] = &[
    (&["application.client_id"], |it| it.client_id.clear()),
    (&["application.client_id"], |it| it.client_id = "x".repeat(256)),
    (&["application.client_id"], |it| it.client_id = "caf\u{e9}".into()),
    (&["application.client_id"], |it| it.client_id = "user:ada".into()),
    (&["application.display_name"], |it| it.display_name = "x".repeat(256)),
    (&["application.token_format"], |it| {
        it.token_format = TokenFormat::Unspecified.into();
    }),
    (&["application.token_format"], |it| it.token_format = 99),
    (&["application.binding_type"], |it| {
        it.binding_type = BindingType::Dpop.into();
    }),
    (&["application.binding_type"], |it| it.binding_type = 99),
    (&["application.grants"], |it| it.grants.clear()),
    (&["application.grants[0]"], |it| {
        it.grants = vec![GrantType::Unspecified.into()];
    }),
    (&["application.grants[1]"], |it| it.grants = vec![1, 99]),
    (&["application.grants[1]"], |it| it.grants = vec![1, 1]),
    (&["application.scopes"], |it| {
        it.scopes = many(65);
        it.default_scopes.clear();
    }),
    (&["application.scopes[3]"], |it| it.scopes.push("a b".to_owned())),
    (&["application.scopes[3]"], |it| it.scopes.push("x".repeat(129))),
    (&["application.scopes[3]"], |it| {
        it.scopes.push("orders.read".to_owned());
    }),
    (&["application.default_scopes[0]"], |it| {
        it.default_scopes = texts(&["other"]);
    }),
    (&["application.audiences"], |it| {
        it.audiences = many(17);
        it.default_audiences.clear();
    }),
    (&["application.audiences"], |it| {
        it.audiences.clear();
        it.default_audiences.clear();
    }),
    (&["application.audiences[2]"], |it| it.audiences.push(String::new())),
    (&["application.audiences[2]"], |it| it.audiences.push("x".repeat(256))),
    (&["application.default_audiences[0]"], |it| {
        it.default_audiences = texts(&["other"]);
    }),
    (&["application.access_token_lifetime_seconds"], |it| {
        it.access_token_lifetime_seconds = 86_401;
    }),
    (&["application.max_bindings_per_subject"], |it| {
        it.max_bindings_per_subject = 1_001;
    }),
    (&["application.binding_limit_policy"], |it| {
        it.binding_limit_policy = BindingLimitPolicy::EvictOldest.into();
    }),
    (&["application.require_binding", "application.enforce_binding"], |it| {
        it.binding_type = BindingType::None.into();
        it.require_binding = true;
        it.enforce_binding = true;
    }),
    (&["application.claims"], |it| {
        it.claims = (0..33)
            .flat_map(|number| claim(&format!("c{number}"), Some(fixed(1))))
            .collect();
    }),
    (&["application.claims[0].name"], |it| {
        it.claims = claim("", Some(fixed(1)));
    }),
    (&["application.claims[0].name"], |it| {
        it.claims = claim(&"x".repeat(65), Some(fixed(1)));
    }),
    (&["application.claims[0].name"], |it| {
        it.claims = claim("exp", Some(fixed(1)));
    }),
    (&["application.claims[0].static_value"], |it| {
        it.claims = claim("tier", Some(fixed(1_025)));
    }),
    (&["application.claims[0]"], |it| it.claims = claim("tier", None)),
];

async fn each_field_of_an_application_has_a_limit(stack: Stack) {
    for (paths, spoil) in APPLICATION {
        let mut application = shop("shop", TokenFormat::Jwt);
        spoil(&mut application);
        let error = stack.create_app(application).await.unwrap_err();
        assert_violations(&error, paths);
    }
    stack.shop("shop", TokenFormat::Jwt).await;
}

const USER: &[Spoiled<(User, String)>] = &[
    (&["user.username"], |it| it.0.username.clear()),
    (&["user.username"], |it| it.0.username = "x".repeat(256)),
    (&["user.username"], |it| it.0.username = "a\nb".into()),
    (&["user.attributes"], |it| {
        it.0.attributes = many(33).into_iter().map(|name| (name, String::new())).collect();
    }),
    (&["user.attributes"], |it| {
        it.0.attributes = [("x".repeat(65), String::new())].into();
    }),
    (&["user.attributes[\"mail\"]"], |it| {
        it.0.attributes = [("mail".to_owned(), "x".repeat(1_025))].into();
    }),
    (&["user.scopes"], |it| it.0.scopes = many(65)),
    (&["user.scopes[0]"], |it| it.0.scopes = texts(&["a b"])),
    (&["password"], |it| it.1 = "7 bytes".into()),
    (&["password"], |it| it.1 = "x".repeat(1_025)),
    (&["user.username", "password"], |it| {
        it.0.username.clear();
        it.1.clear();
    }),
];

async fn each_field_of_a_user_has_a_limit(stack: Stack) {
    let good = || {
        let user = User {
            username: "ada".to_owned(),
            ..Default::default()
        };
        (user, "8  bytes".to_owned())
    };
    for (paths, spoil) in USER {
        let mut request = good();
        spoil(&mut request);
        let error = stack.create_user(request.0, &request.1).await.unwrap_err();
        assert_violations(&error, paths);
    }
    stack.create_user(good().0, &good().1).await.unwrap();
}

const RESOURCE: &[Spoiled<Resource>] = &[
    (&["resource.resource_id"], |it| it.resource_id.clear()),
    (&["resource.resource_id"], |it| it.resource_id = "x".repeat(256)),
    (&["resource.resource_id"], |it| it.resource_id = "caf\u{e9}".into()),
    (&["resource.audiences"], |it| it.audiences = many(17)),
    (&["resource.audiences[0]"], |it| it.audiences = vec![String::new()]),
    (&["resource.audiences[0]"], |it| it.audiences = texts(&["tokenbind"])),
    (&["resource.accepted_client_ids"], |it| {
        it.accepted_client_ids = many(1_001);
    }),
    (&["resource.accepted_client_ids[0]"], |it| {
        it.accepted_client_ids = vec!["x".repeat(256)];
    }),
    (&["resource.accepted_scopes"], |it| it.accepted_scopes = many(65)),
    (&["resource.accepted_scopes[0]"], |it| {
        it.accepted_scopes = texts(&["a b"]);
    }),
    (&["resource.accepted_binding_types[0]"], |it| {
        it.accepted_binding_types = vec![99];
    }),
    (&["resource.accepted_binding_types[0]"], |it| {
        it.accepted_binding_types = vec![0];
    }),
    (&["resource.allow_stale_seconds"], |it| it.allow_stale_seconds = 301),
];

async fn each_field_of_a_resource_has_a_limit(stack: Stack) {
    for (paths, spoil) in RESOURCE {
        let mut resource = api("api", &[]);
        spoil(&mut resource);
        let error = stack.create_resource(resource).await.unwrap_err();
        assert_violations(&error, paths);
    }
    stack.api("api", &[]).await;
}

async fn each_field_of_the_other_requests_has_a_limit(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let list = |page_size, page_token: &str| {
        stack.as_admin(ListApplicationsRequest {
            page_size,
            page_token: page_token.to_owned(),
        })
    };
    let error = stack
        .applications()
        .list_applications(list(1_001, "!"))
        .await
        .unwrap_err();
    assert_violations(&error, &["page_size", "page_token"]);
    let rotate = |overlap_seconds| {
        stack.as_admin(RotateApplicationSecretRequest {
            client_id: app.id.clone(),
            overlap_seconds,
        })
    };
    let error = stack
        .applications()
        .rotate_application_secret(rotate(2_592_001))
        .await
        .unwrap_err();
    assert_violations(&error, &["overlap_seconds"]);
    let update = |fields: &[&str]| {
        stack.as_admin(UpdateApplicationRequest {
            application: Some(shop("shop", TokenFormat::Opaque)),
            update_mask: Some(mask(fields)),
        })
    };
    let error = stack.applications().update_application(update(&[])).await.unwrap_err();
    assert_violations(&error, &["update_mask"]);
    let error = stack
        .applications()
        .update_application(update(&["token_format", "source", "*"]))
        .await;
    assert_violations(&error.unwrap_err(), &["update_mask.paths[1]", "update_mask.paths[2]"]);
    let get = |client_id: &str| {
        stack.as_admin(GetApplicationRequest {
            client_id: client_id.to_owned(),
        })
    };
    let found = stack
        .applications()
        .get_application(get("shop"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        found.application.unwrap().token_format(),
        TokenFormat::Jwt,
        "nothing was half done"
    );
    let error = stack.applications().get_application(get("nobody")).await.unwrap_err();
    assert_eq!((error.code(), reason(&error).as_str()), (Code::NotFound, "not_found"));
}

async fn an_id_is_taken_once(stack: Stack) {
    stack.shop("shop", TokenFormat::Jwt).await;
    let again = stack.create_app(shop("shop", TokenFormat::Opaque)).await.unwrap_err();
    assert_eq!(
        (again.code(), reason(&again).as_str()),
        (Code::AlreadyExists, "already_exists")
    );
    stack.user("ada", "correct horse").await;
    let user = User {
        username: "ada".to_owned(),
        ..Default::default()
    };
    let again = stack.create_user(user, "another horse").await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    stack.api("api", &[]).await;
    let again = stack.create_resource(api("api", &[])).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
}

async fn only_an_administrator_administers(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let token = stack.issue(&app, client_credentials()).await.unwrap().access_token;
    let message = || GetUserRequest {
        username: "ada".to_owned(),
    };
    for (authorization, code, expected) in [
        (None, Code::Unauthenticated, "invalid_token"),
        (Some(app.basic()), Code::Unauthenticated, "invalid_token"),
        (Some(basic(ADMIN_ID, "wrong")), Code::Unauthenticated, "invalid_token"),
        (Some(bearer("nonsense")), Code::Unauthenticated, "invalid_token"),
        (Some(bearer(&token)), Code::PermissionDenied, "insufficient_scope"),
    ] {
        let request = match &authorization {
            Some(authorization) => with_authorization(message(), authorization),
            None => tonic::Request::new(message()),
        };
        let error = stack.users().get_user(request).await.unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (code, expected),
            "{authorization:?}"
        );
    }
    let error = stack.users().get_user(stack.as_admin(message())).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn what_the_catalog_declares_is_read_only() {
    let stack = Stack::start(Backend::Redis).await;
    let operator = Application {
        client_id: ADMIN_ID.to_owned(),
        disabled: true,
        ..Default::default()
    };
    let error = stack.update_app(operator, &["disabled"]).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::FailedPrecondition, "declared_in_catalog")
    );
    let request = stack.as_admin(RotateApplicationSecretRequest {
        client_id: ADMIN_ID.to_owned(),
        ..Default::default()
    });
    let error = stack
        .applications()
        .rotate_application_secret(request)
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "declared_in_catalog");
}
