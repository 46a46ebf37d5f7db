//! Public clients: a name, and no proof.

use tokenbind_proto::v1::{
    Application, ClientAuthentication, ClientAuthenticationMethod as Method, CreateApplicationRequest, GrantType,
    RotateApplicationSecretRequest, TokenFormat,
};
use tokenbind_tests::{Ask as _, fields, password, reason, shop};

use crate::in_every_setting;
use crate::setting::Setting;

in_every_setting!(a_public_client_names_itself_and_gets_no_grant_of_its_own);

fn public(grants: &[GrantType]) -> Application {
    Application {
        grants: grants.iter().map(|grant| *grant as i32).collect(),
        client_authentication: Some(ClientAuthentication {
            methods: vec![Method::None.into()],
            ..Default::default()
        }),
        ..shop("public", TokenFormat::Jwt)
    }
}

async fn a_public_client_names_itself_and_gets_no_grant_of_its_own(setting: Setting) {
    for grant in [
        GrantType::ClientCredentials,
        GrantType::TokenExchange,
        GrantType::JwtBearer,
    ] {
        let request = setting.stack.as_admin(CreateApplicationRequest {
            application: Some(public(&[GrantType::Password, grant])),
        });
        let error = setting
            .stack
            .applications()
            .create_application(request)
            .await
            .unwrap_err();
        assert_eq!(fields(&error), ["application.grants[1]"]);
    }
    let app = setting.stack.create_app(public(&[GrantType::Password])).await.unwrap();
    assert_eq!(app.secret, "");
    setting.stack.user("carol", "correct horse").await;
    let login = || password("carol", "correct horse");
    let issued = setting.stack.issue(&app, login()).await.unwrap();
    // A client that proves something is another one.
    let error = setting
        .stack
        .tokens()
        .issue_token(login().by("public", "secret"))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "invalid_client");
    // Nor does its name make a confidential client public.
    let error = setting
        .stack
        .tokens()
        .issue_token(login().by("with-secret", ""))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "invalid_client");
    let rotate = setting.stack.as_admin(RotateApplicationSecretRequest {
        client_id: "public".to_owned(),
        overlap_seconds: 0,
    });
    let error = setting
        .stack
        .applications()
        .rotate_application_secret(rotate)
        .await
        .unwrap_err();
    assert_eq!(fields(&error), ["client_id"]);
    setting.stack.revoke(&app, &issued.access_token).await.unwrap();
}
