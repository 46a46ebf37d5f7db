//! Four issuers that share a Redis.

use futures::future::join_all;
use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{Ask as _, Backend, Client, Process, Stack, channel, client_credentials, dump, password, reason};

use crate::guesses::assert_held_up;

const ISSUERS: usize = 4;

async fn cluster() -> (Stack, Vec<Client>, Vec<Process>) {
    let stack = Stack::start(Backend::Redis).await;
    let installation = stack.installation.as_ref().unwrap();
    let (mut issuers, mut processes) = (vec![stack.client()], Vec::new());
    for _ in 1..ISSUERS {
        let (process, address) = installation.start_issuer(&[]);
        let client = Client {
            issuer: channel(&address),
            ..stack.client()
        };
        client.ready().await;
        issuers.push(client);
        processes.push(process);
    }
    (stack, issuers, processes)
}

/// However many are sent at once, over however many issuers: no more are judged than one after the other, and one in flight at
/// each issuer.
#[tokio::test]
async fn c12_passwords_guessed_at_once_over_four_issuers_are_held_up() {
    let (stack, issuers, _processes) = cluster().await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    stack.user("ada", "correct horse").await;
    let guesses = (0..120).map(|number| {
        let issuer = &issuers[number % ISSUERS];
        issuer.issue(&app, password("ada", &format!("guess {number}")))
    });
    let mut judged = 0;
    for outcome in join_all(guesses).await {
        let error = outcome.unwrap_err();
        match reason(&error).as_str() {
            "invalid_grant" => judged += 1,
            // No place in the queue: not judged either.
            "overloaded" => {}
            _ => assert_held_up(&error),
        }
    }
    assert!((11..11 + ISSUERS).contains(&judged), "{judged} were judged");
    stack.issue(&app, client_credentials()).await.unwrap();
}

#[tokio::test]
async fn c12_secrets_guessed_over_four_issuers_are_held_up() {
    let (stack, issuers, _processes) = cluster().await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let guess = || client_credentials().by(&app.id, "wrong");
    for number in 0..21 {
        let error = issuers[number % ISSUERS]
            .tokens()
            .issue_token(guess())
            .await
            .unwrap_err();
        assert_eq!(reason(&error), "invalid_client");
    }
    // Each learns of it at the next wrong one, whoever counted the others.
    for issuer in &issuers {
        assert_held_up(&issuer.tokens().issue_token(guess()).await.unwrap_err());
    }
    // And then has the right one wait too.
    for issuer in &issuers {
        assert_held_up(&issuer.issue(&app, client_credentials()).await.unwrap_err());
    }
}

/// What is kept of guesses says nothing of who guessed at whom, and does not stay.
#[tokio::test]
async fn c12_counters_are_anonymous_and_expire() {
    let stack = Stack::start(Backend::Redis).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    for name in ["canary-user", "canary-other"] {
        stack.issue(&app, password(name, "canary-password")).await.unwrap_err();
    }
    let request = client_credentials().by("canary-application", "canary-secret");
    stack.tokens().issue_token(request).await.unwrap_err();
    let redis = stack.redis.as_ref().unwrap();
    let stored = dump(&mut redis.connection());
    for part in &stored {
        for canary in ["canary", "127.0.0.1"] {
            let found = part.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} in {}", String::from_utf8_lossy(part));
        }
    }
    let mut connection = redis.connection();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*:{attempts}*").query(&mut connection).unwrap();
    // Two users twice, the application through which they come, the secret, and the address.
    assert_eq!(keys.len(), 7);
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
        assert!((1..=3_600_000).contains(&left), "{left}");
    }
    // A success leaves nothing.
    stack.user("ada", "correct horse").await;
    stack.issue(&app, password("ada", "correct horse")).await.unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*:{attempts}*").query(&mut connection).unwrap();
    assert!(keys.len() <= 7, "{}", keys.len());
}
