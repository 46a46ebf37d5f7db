//! A service whose clock is wrong says so, answers nothing, and recovers by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokenbind_proto::v1::{Decision, TokenFormat, ValidateTokenRequest};
use tokenbind_tests::{
    Ask as _, Backend, Client, DEADLINE, Stack, channel, client_credentials, health, reason, start_service, tool,
    validator_command, wait_until,
};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

/// Lets the clock of a service be set wrong by what is in a file; its monotonic clock is nobody's to set.
fn with_clock(mut command: Command, file: &Path) -> Command {
    command
        .env(
            "LD_PRELOAD",
            tool("TOKENBIND_TEST_LIBFAKETIME", "libfaketime.so.1").unwrap(),
        )
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command
}

fn set(file: &Path, offset: &str) {
    // Whole at any moment.
    let next = file.with_extension("next");
    fs::write(&next, format!("{offset}\n")).unwrap();
    fs::rename(next, file).unwrap();
}

#[tokio::test]
async fn an_hour_off_is_not_ready_and_fails_closed() {
    let stack = Stack::start(Backend::Redis).await;
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("offset");
    set(&file, "+0s");
    let installation = stack.installation.as_ref().unwrap();
    let issuer_command = with_clock(installation.issuer_command(), &file);
    let (issuer, issuer_address) = start_service("issuer", issuer_command);
    let url = stack.redis.as_ref().unwrap().url();
    let (validator, validator_address) = start_service("validator", with_clock(validator_command(&url), &file));
    let wrong = Client::new(&issuer_address, &validator_address);
    let shop = stack.shop("shop", TokenFormat::Jwt).await;
    let api = stack.api("api", &[&shop]).await;
    let token = stack.issue(&shop, client_credentials()).await.unwrap().access_token;
    let question = ValidateTokenRequest {
        token: token.clone(),
        ..Default::default()
    };
    let ready = async |expected: ServingStatus| {
        for address in [&issuer_address, &validator_address] {
            let channel = channel(address);
            wait_until("a service notices", DEADLINE, async || {
                (health(&channel, "").await == Some(expected)).then_some(())
            })
            .await;
        }
    };
    ready(ServingStatus::Serving).await;
    wrong.assert_live(&api, &token).await;

    for offset in ["+3600s", "-3600s"] {
        set(&file, offset);
        ready(ServingStatus::NotServing).await;
        let refused = wrong.issue(&shop, client_credentials()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        // What it keeps of the token is no way around it.
        let refused = wrong.judge(&api, question.clone()).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unavailable, "temporarily_unavailable")
        );
        // Nobody else is troubled.
        stack.assert_live(&api, &token).await;

        set(&file, "+0s");
        ready(ServingStatus::Serving).await;
        wrong.assert_live(&api, &token).await;
        let other = wrong.issue(&shop, client_credentials().bound_to(offset)).await.unwrap();
        assert_eq!(
            stack.validate(&api, &other.access_token).await.decision(),
            Decision::Allow
        );
    }
    for process in [&issuer, &validator] {
        assert!(process.log().contains("too far apart") && process.log().contains("agree again"));
    }
}
