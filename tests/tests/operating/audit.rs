//! The audit trail: who issued, revoked, administered and was refused, in the log and in a Redis stream, and never a secret.

use std::collections::HashMap;

use serde_json::Value;
use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{App, Ask as _, DEADLINE, Process, Stack, client_credentials, dump, password, wait_until};

type Entry = HashMap<String, String>;

fn stream(stack: &Stack) -> Vec<Entry> {
    let mut connection = stack.redis.as_ref().unwrap().connection();
    let entries: Vec<(String, Vec<(String, String)>)> = redis::cmd("XRANGE")
        .arg(&["tokenbind:audit", "-", "+"])
        .query(&mut connection)
        .unwrap();
    entries
        .into_iter()
        .map(|(_, fields)| fields.into_iter().collect())
        .collect()
}

/// The entries of one event, once there is one.
async fn entries(stack: &Stack, event: &str) -> Vec<Entry> {
    wait_until(&format!("an entry of {event}"), DEADLINE, async || {
        let found = stream(stack)
            .into_iter()
            .filter(|entry| entry.get("event").is_some_and(|is| is == event));
        Some(found.collect::<Vec<_>>()).filter(|found| !found.is_empty())
    })
    .await
}

#[tokio::test]
async fn what_happens_is_in_the_stream_and_no_secret_is() {
    let arguments = ["--audit-stream-entries", "1000", "--audit-all"];
    let stack = Stack::redis(&arguments, &["--audit-all"]).await;
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let api = stack.api("api", &[&app]).await;
    stack.user("ada", "canary-password").await;
    let asked = password("ada", "canary-password").bound_to("canary-device");
    let token = stack.issue(&app, asked).await.unwrap().access_token;
    stack.assert_live(&api, &token).await;
    stack.revoke(&app, &token).await.unwrap();
    let wrong = App {
        secret: "canary-secret".to_owned(),
        ..app.clone()
    };
    stack.issue(&wrong, client_credentials()).await.unwrap_err();
    let request = tokenbind_tests::with_authorization(
        tokenbind_proto::v1::ListUsersRequest::default(),
        &tokenbind_tests::bearer(&token),
    );
    stack.users().list_users(request).await.unwrap_err();

    let issued = entries(&stack, "issued").await;
    let issued = issued.iter().find(|entry| entry["grant"] == "password").unwrap();
    assert_eq!(
        (issued["client_id"].as_str(), issued["subject_kind"].as_str()),
        ("shop", "user")
    );
    assert!(issued["binding_ref"].len() == 43 && issued["outcome"] == "new");
    let revoked = &entries(&stack, "revoked").await[0];
    assert_eq!(
        (
            revoked["by"].as_str(),
            revoked["caller"].as_str(),
            revoked["subject"].as_str()
        ),
        ("token", "shop", "user:ada")
    );
    let refused = &entries(&stack, "refused").await[0];
    assert_eq!(
        (refused["client_id"].as_str(), refused["reason"].as_str()),
        ("shop", "invalid_client")
    );
    assert_eq!(
        entries(&stack, "administration_refused").await[0]["reason"],
        "invalid_token"
    );
    let created = entries(&stack, "application_created").await;
    assert_eq!(
        (created[0]["id"].as_str(), created[0]["by"].as_str()),
        ("shop", "operator")
    );

    // Validators only read the index, so theirs is in the log.
    let log = stack.processes[1].log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let allowed: Vec<_> = lines.filter(|line| line["event"] == "token_allowed").collect();
    assert_eq!((allowed.len(), allowed[0]["client_id"].as_str()), (1, Some("shop")));

    let everything = dump(&mut stack.redis.as_ref().unwrap().connection()).concat();
    let text = String::from_utf8_lossy(&everything);
    let logs = stack.processes.iter().map(Process::log).collect::<String>();
    for secret in ["canary", token.as_str(), app.secret.as_str()] {
        assert!(!text.contains(secret) && !logs.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_redis_that_is_away_holds_nobody_up_and_gets_the_events_later() {
    let stack = Stack::redis(&["--audit-stream-entries", "1000"], &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    entries(&stack, "application_created").await;
    stack.redis.as_ref().unwrap().freeze();
    stack.issue(&app, client_credentials()).await.unwrap_err();
    stack.redis.as_ref().unwrap().thaw();
    stack.ready().await;
    let refused = entries(&stack, "refused").await;
    assert_eq!(refused[0]["reason"], "temporarily_unavailable");
}
