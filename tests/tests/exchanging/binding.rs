//! C51: what is bound needs its proof, and stays bound.

use tokenbind_proto::v1::{BindingType, Decision, Presenter, Reason, RevokeBindingRequest, ValidateTokenRequest};
use tokenbind_tests::{Ask as _, exchange, fields, reason};

use crate::in_every_setting;
use crate::setting::Setting;

in_every_setting!(
    c51_a_bound_token_is_exchanged_on_its_device_alone,
    r2_a_lost_device_loses_what_it_exchanged
);

async fn c51_a_bound_token_is_exchanged_on_its_device_alone(setting: Setting) {
    for shop in &setting.shops {
        let subject = setting.login(shop, "phone").await;
        for cart in &setting.carts {
            for wrong in ["", " ", "tablet", "PHONE", "phone "] {
                let error = setting
                    .issue(cart, exchange(&subject).bound_to(wrong))
                    .await
                    .unwrap_err();
                assert_eq!(reason(&error), "invalid_request", "{wrong:?}");
                assert_eq!(fields(&error), ["token_exchange.subject_token"]);
            }
            let answer = setting.issue(cart, exchange(&subject).bound_to("phone")).await.unwrap();
            assert_eq!(answer.binding.unwrap().r#type(), BindingType::ClientRequest);
            let elsewhere = ValidateTokenRequest {
                token: answer.access_token,
                presenter: Some(Presenter {
                    token_binding_id: "tablet".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let verdict = setting.stack.judge(&setting.api, elsewhere).await.unwrap();
            assert_eq!(
                (verdict.decision(), verdict.reason()),
                (Decision::PermissionDenied, Reason::BindingMismatch)
            );
        }
        // Its tokens would not be bound.
        let error = setting
            .issue(&setting.plain, exchange(&subject).bound_to("phone"))
            .await
            .unwrap_err();
        assert_eq!(reason(&error), "unauthorized_client");
        let unbound = setting.login(shop, "").await;
        setting.issue(&setting.plain, exchange(&unbound)).await.unwrap();
    }
}

async fn r2_a_lost_device_loses_what_it_exchanged(setting: Setting) {
    let phone = setting.login(&setting.shops[0], "phone").await;
    let tablet = setting.login(&setting.shops[0], "tablet").await;
    let mut lost = vec![phone.clone()];
    let mut kept = vec![tablet.clone()];
    for cart in &setting.carts {
        let on_phone = setting.issue(cart, exchange(&phone).bound_to("phone")).await.unwrap();
        let on_tablet = setting.issue(cart, exchange(&tablet).bound_to("tablet")).await.unwrap();
        lost.push(on_phone.access_token);
        kept.push(on_tablet.access_token);
    }
    let revoke = setting.stack.as_admin(RevokeBindingRequest {
        subject: "user:carol".to_owned(),
        token_binding_id: "phone".to_owned(),
        ..Default::default()
    });
    let revoked = setting
        .stack
        .bindings()
        .revoke_binding(revoke)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(revoked.revoked, 4, "three tokens and the login");
    for token in &lost {
        setting
            .stack
            .assert_dead(&setting.api, token, Reason::TokenNotLive)
            .await;
    }
    for token in &kept {
        setting.stack.assert_live(&setting.api, token).await;
    }
    let error = setting
        .issue(&setting.carts[0], exchange(&phone).bound_to("phone"))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "invalid_request");
}
