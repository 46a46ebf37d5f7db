//! Who acts for whom (RFC 8693, section 4.1).

use tokenbind_proto::v1::Actor;
use tokenbind_tests::{exchange, exchange_with};

use crate::in_every_setting;
use crate::setting::Setting;

in_every_setting!(c50_the_actor_is_told_and_those_before_it_stay);

async fn c50_the_actor_is_told_and_those_before_it_stay(setting: Setting) {
    let told = async |token: &str| {
        let facts = setting.stack.validate(&setting.api, token).await.token.unwrap();
        let introspected = setting.stack.introspect(&setting.api, token).await.unwrap();
        assert_eq!(
            (facts.subject.as_str(), introspected.sub.as_str()),
            ("user:carol", "user:carol")
        );
        assert_eq!(facts.act, introspected.act);
        // What the issuer says itself is no mapped claim.
        assert_eq!(facts.claims, None);
        facts.act
    };
    for (index, cart) in setting.carts.iter().enumerate() {
        let other = &setting.carts[1 - index];
        let carol = setting.login(&setting.shops[0], "").await;
        let helper = Actor {
            subject: "ext:cluster:system:helper".to_owned(),
            issuer: setting.cluster.url(),
            actor: None,
        };
        let once = setting
            .issue(cart, exchange_with(&carol, &setting.pod("helper")))
            .await
            .unwrap();
        assert_eq!(told(&once.access_token).await, Some(helper.clone()));

        let passed_on = setting.issue(other, exchange(&once.access_token)).await.unwrap();
        assert_eq!(told(&passed_on.access_token).await, Some(helper.clone()));

        let request = exchange_with(&once.access_token, &setting.pod("second"));
        let twice = setting.issue(other, request).await.unwrap();
        let second = Actor {
            subject: "ext:cluster:system:second".to_owned(),
            issuer: setting.cluster.url(),
            actor: Some(Box::new(helper)),
        };
        assert_eq!(told(&twice.access_token).await, Some(second));

        // Somebody else who acts, and nobody, have slots of their own.
        let plain = setting.issue(other, exchange(&carol)).await.unwrap();
        assert_eq!(told(&plain.access_token).await, None);
        for token in [&once, &passed_on, &twice, &plain] {
            setting.stack.assert_live(&setting.api, &token.access_token).await;
        }
    }
}
