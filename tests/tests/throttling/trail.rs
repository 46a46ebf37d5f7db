//! What the audit trail says of guesses and of what was revoked.

use serde_json::Value;
use tokenbind_proto::v1::{RevokeSubjectRequest, TokenFormat};
use tokenbind_tests::{App, Ask as _, DEADLINE, Stack, client_credentials, password, wait_until};

/// The lines of one event, once there are so many.
async fn lines(stack: &Stack, event: &str, count: usize) -> Vec<Value> {
    wait_until(&format!("{count} lines of {event}"), DEADLINE, async || {
        let log = stack.processes[0].log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<_> = lines.filter(|line| line["event"] == event).collect();
        (lines.len() >= count).then_some(lines)
    })
    .await
}

/// Who pastes a secret where the name belongs finds it nowhere.
#[tokio::test]
async fn a_refusal_names_only_applications_that_exist() {
    let stack = Stack::redis(&["--log", "trace"], &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let pasted = client_credentials().by("canary-pasted-secret", "wrong");
    stack.tokens().issue_token(pasted).await.unwrap_err();
    let wrong = App {
        secret: "wrong".to_owned(),
        ..app.clone()
    };
    stack.issue(&wrong, client_credentials()).await.unwrap_err();
    stack.issue(&app, password("nobody", "wrong")).await.unwrap_err();
    let refused = lines(&stack, "refused", 3).await;
    let named: Vec<_> = refused.iter().map(|line| line["client_id"].as_str()).collect();
    assert_eq!(named, [None, Some("shop"), Some("shop")]);
    assert!(!stack.processes[0].log().contains("canary"));
}

#[tokio::test]
async fn a_revocation_names_whose_tokens_it_was() {
    let stack = Stack::redis(&[], &[]).await;
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    stack.user("ada", "correct horse").await;
    stack.issue(&app, password("ada", "correct horse")).await.unwrap();
    for subject in ["user:ada", "canary-pasted-secret"] {
        let request = stack.as_admin(RevokeSubjectRequest {
            subject: subject.to_owned(),
            ..Default::default()
        });
        stack.bindings().revoke_subject(request).await.unwrap();
    }
    let jwt = stack.shop("jwt", TokenFormat::Jwt).await;
    for app in [&app, &jwt] {
        let token = stack.issue(app, client_credentials()).await.unwrap().access_token;
        stack.revoke(app, &token).await.unwrap();
    }
    let revoked = lines(&stack, "revoked", 4).await;
    let named: Vec<_> = revoked.iter().map(|line| line["subject"].as_str()).collect();
    assert_eq!(named, [Some("user:ada"), None, Some("shop"), Some("jwt")]);
    assert!(!stack.processes[0].log().contains("canary"));
}

#[tokio::test]
async fn a_delay_that_begins_is_told_once() {
    let stack = Stack::redis(&[], &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    for _ in 0..15 {
        stack.issue(&app, password("nobody", "wrong")).await.unwrap_err();
    }
    let told = lines(&stack, "throttled", 1).await;
    assert!((1..=2).contains(&told.len()), "{told:?}");
    assert_eq!(told[0]["what"], "password");
    assert_eq!(told[0]["peer"], "127.0.0.1");
}
