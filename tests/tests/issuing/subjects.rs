//! Cases 4 and 10: subjects and applications whose names could be mistaken for each other.

use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{Ask as _, Stack, client_credentials, on_every_backend, password};

use crate::fixture::{Shops, assert_new};

on_every_backend!(
    case_10_an_application_and_a_user_of_its_name_are_never_mixed,
    case_4_delimiters_in_names_make_no_slot_of_another,
    a_token_of_one_application_is_not_answered_to_another,
);

async fn case_10_an_application_and_a_user_of_its_name_are_never_mixed(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        stack.user(&app.id, "correct horse").await;
        let own = stack.issue(app, client_credentials()).await.unwrap();
        let users = stack.issue(app, password(&app.id, "correct horse")).await.unwrap();
        assert_new(&users);
        assert!(!users.superseded);
        assert_ne!(own.access_token, users.access_token);
        let own = stack.validate(&shops.api, &own.access_token).await.token.unwrap();
        let users = stack.validate(&shops.api, &users.access_token).await.token.unwrap();
        assert_eq!((own.subject.as_str(), own.username.as_str()), (app.id.as_str(), ""));
        assert_eq!(
            (users.subject, users.username),
            (format!("user:{}", app.id), app.id.clone())
        );
        assert_eq!(own.authorized_user_type, "APPLICATION");
        assert_eq!(users.authorized_user_type, "APPLICATION_USER");
    }
}

/// Names that would run into each other wherever they are joined by a separator.
const NAMES: &[&str] = &[
    "a", "a:b", "b", ":", "{a}", "a b", "a\\", "a|b", "a}", "{", "*", "a%3Ab", "NONE",
];

async fn case_4_delimiters_in_names_make_no_slot_of_another(stack: Stack) {
    let mut apps = Vec::new();
    for name in NAMES {
        // A client_id is printable ASCII; whether a space is, is not for this test.
        let client_id = name.replace(' ', "_");
        apps.push(stack.shop(&client_id, TokenFormat::Opaque).await);
        stack.user(name, "correct horse").await;
    }
    let api = stack.api("api", &apps.iter().collect::<Vec<_>>()).await;
    let mut tokens = Vec::new();
    for app in &apps {
        for id in ["", "a", "a:b", ":"] {
            let own = stack.issue(app, client_credentials().bound_to(id)).await.unwrap();
            assert!(!own.reused);
            tokens.push(own.access_token);
        }
        for name in &NAMES[..4] {
            let users = stack.issue(app, password(name, "correct horse")).await.unwrap();
            assert!(!users.reused, "{name:?}");
            tokens.push(users.access_token);
        }
    }
    let issued = tokens.len();
    for verdict in stack.validate_all(&api, &tokens).await {
        assert_eq!(verdict.http_status, 200);
    }
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), issued);
}

async fn a_token_of_one_application_is_not_answered_to_another(stack: Stack) {
    let one = stack.shop("one", TokenFormat::Opaque).await;
    let other = stack.shop("other", TokenFormat::Opaque).await;
    stack.user("ada", "correct horse").await;
    let ask = || password("ada", "correct horse").bound_to("phone-1");
    let ones = stack.issue(&one, ask()).await.unwrap();
    let others = stack.issue(&other, ask()).await.unwrap();
    assert_new(&others);
    assert_ne!(ones.access_token, others.access_token);
}
