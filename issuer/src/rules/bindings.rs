use std::sync::Arc;

use tokenbind_index::{BindingId, Subject};
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::TokenFormat;

use crate::admin_access::Administrator;
use crate::application::Application;
use crate::bindings::{Caller, Listed, Live};
use crate::issue::IssuedToken;
use crate::test_support::{Harness, request_for, strings, text};

fn alice() -> Subject {
    Subject::User("alice".to_owned())
}

fn administrator() -> Caller {
    let subject = Subject::Application("admin".to_owned());
    Caller::Administrator(Administrator {
        client_id: "admin".to_owned(),
        subject,
    })
}

async fn application(harness: &Harness, client_id: &str) -> Caller {
    Caller::Application(Arc::new(
        Application::load(&harness.memory, client_id).await.unwrap().unwrap(),
    ))
}

fn id(text: &str) -> BindingId {
    BindingId::parse(text).unwrap().unwrap()
}

async fn token(harness: &Harness, client_id: &str, binding_id: &str, scopes: &[&str]) -> IssuedToken {
    let mut request = request_for(client_id, "alice", binding_id);
    request.scopes = strings(scopes);
    harness.issuer.issue_token(request).await.unwrap()
}

/// Alice has a phone and a tablet in two applications.
async fn devices() -> (Harness, Vec<IssuedToken>) {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    harness.application("bank", TokenFormat::Opaque, |_| {}).await;
    harness.user("alice", |_| {}).await;
    let tokens = vec![
        token(&harness, "shop", "phone", &["read"]).await,
        token(&harness, "shop", "phone", &["write"]).await,
        token(&harness, "bank", "phone", &[]).await,
        token(&harness, "shop", "tablet", &[]).await,
        token(&harness, "shop", "", &[]).await,
    ];
    (harness, tokens)
}

async fn accepted(harness: &Harness, tokens: &[IssuedToken]) -> Vec<bool> {
    let mut accepted = Vec::new();
    for token in tokens {
        accepted.push(harness.accepted(text(token)).await);
    }
    accepted
}

#[tokio::test]
async fn r2_a_lost_device_is_revoked_in_all_slots_and_applications() {
    let (harness, tokens) = devices().await;
    let revoked = harness
        .issuer
        .revoke_binding(&administrator(), &alice(), None, id("phone"))
        .await
        .unwrap();
    assert_eq!(revoked.count, 3);
    assert_eq!(accepted(&harness, &tokens).await, [false, false, false, true, true]);
    let again = harness
        .issuer
        .revoke_binding(&administrator(), &alice(), None, id("phone"))
        .await
        .unwrap();
    assert_eq!(again.count, 0);
}

#[tokio::test]
async fn r2_within_one_application() {
    let (harness, tokens) = devices().await;
    let admin = administrator();
    let revoked = harness
        .issuer
        .revoke_binding(&admin, &alice(), Some("shop"), id("phone"))
        .await
        .unwrap();
    assert_eq!(revoked.count, 2);
    assert_eq!(accepted(&harness, &tokens).await, [false, false, true, true, true]);
}

#[tokio::test]
async fn r3_logged_out_everywhere_or_within_one_application() {
    let (harness, tokens) = devices().await;
    let revoked = harness
        .issuer
        .revoke_subject(&administrator(), &alice(), Some("shop"))
        .await
        .unwrap();
    assert_eq!(revoked.count, 4);
    assert_eq!(accepted(&harness, &tokens).await, [false, false, true, false, false]);
    let revoked = harness
        .issuer
        .revoke_subject(&administrator(), &alice(), None)
        .await
        .unwrap();
    assert_eq!(revoked.count, 1);
    assert_eq!(accepted(&harness, &tokens).await, [false; 5]);
}

#[tokio::test]
async fn r4_all_of_an_application_at_once_and_new_ones_are_good() {
    let (harness, tokens) = devices().await;
    harness
        .issuer
        .revoke_application(&administrator(), "shop")
        .await
        .unwrap();
    assert_eq!(accepted(&harness, &tokens).await, [false, false, true, false, false]);
    let new = token(&harness, "shop", "phone", &["read"]).await;
    assert!(!new.superseded && harness.accepted(text(&new)).await);

    harness
        .issuer
        .revoke_application(&administrator(), "bank")
        .await
        .unwrap();
    let opaque = token(&harness, "bank", "phone", &[]).await;
    assert!(!opaque.reused && text(&opaque) != text(&tokens[2]));
    let error = harness
        .issuer
        .revoke_application(&administrator(), "nobody")
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "not_found");
}

#[tokio::test]
async fn r8_lists_what_is_live_page_by_page() {
    let (harness, tokens) = devices().await;
    let admin = administrator();
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = harness
            .issuer
            .list_bindings(&admin, &alice(), None, after, 2)
            .await
            .unwrap();
        assert!(page.live.len() <= 2);
        listed.extend(records(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed.len(), tokens.len());
    let bound = listed.iter().filter(|record| !record.binding_ref.is_empty()).count();
    assert_eq!(bound, 4);

    harness.issuer.revoke_application(&admin, "shop").await.unwrap();
    let after_revocation = harness
        .issuer
        .list_bindings(&admin, &alice(), None, None, 10)
        .await
        .unwrap();
    let clients: Vec<_> = records(&after_revocation)
        .into_iter()
        .map(|record| record.client_id)
        .collect();
    assert_eq!(clients, ["bank"]);
    let filtered = harness
        .issuer
        .list_bindings(&admin, &alice(), Some("shop"), None, 10)
        .await
        .unwrap();
    assert!(filtered.live.is_empty());
}

#[tokio::test]
async fn an_application_sees_and_revokes_what_was_issued_to_itself_alone() {
    let (harness, tokens) = devices().await;
    let bank = application(&harness, "bank").await;
    let issuer = &harness.issuer;
    let listed = issuer.list_bindings(&bank, &alice(), None, None, 10).await.unwrap();
    let listed = records(&listed);
    assert!(listed.iter().all(|record| record.client_id == "bank") && listed.len() == 1);

    let refused = [
        issuer
            .list_bindings(&bank, &alice(), Some("shop"), None, 10)
            .await
            .map(|_| ()),
        issuer
            .revoke_binding(&bank, &alice(), Some("shop"), id("phone"))
            .await
            .map(|_| ()),
        issuer.revoke_subject(&bank, &alice(), Some("shop")).await.map(|_| ()),
        issuer.revoke_application(&bank, "shop").await.map(|_| ()),
    ];
    for outcome in refused {
        assert_eq!(outcome.unwrap_err().reason(), "unauthorized_client");
    }
    assert_eq!(accepted(&harness, &tokens).await, [true; 5]);
    assert_eq!(issuer.revoke_subject(&bank, &alice(), None).await.unwrap().count, 1);
    assert_eq!(accepted(&harness, &tokens).await, [true, true, false, true, true]);
    issuer.revoke_application(&bank, "bank").await.unwrap();
}

fn records(listed: &Listed) -> Vec<TokenRecord> {
    let record = |live: &Live| match live {
        Live::Token(record) => record.clone(),
        Live::Family(family) => panic!("nobody has refresh tokens here: {family:?}"),
    };
    listed.live.iter().map(record).collect()
}
