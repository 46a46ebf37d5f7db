//! As fresh as was asked, through a validator that is not told of changes.

use std::time::Instant;

use tokenbind_proto::v1::consistency::Requirement;
use tokenbind_proto::v1::{Consistency, TokenFormat, ValidateTokenRequest};
use tokenbind_tests::{App, Weather};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::rig::{LEASE, Rig};
use crate::seen::{about, ask, ask_until};

fn at_least(token: &str, requirement: Requirement) -> ValidateTokenRequest {
    ValidateTokenRequest {
        consistency: Some(Consistency {
            requirement: Some(requirement),
        }),
        ..about(token)
    }
}

/// Ends the token by itself, its binding, its subject, its application, or by another in its slot.
async fn end(rig: &Rig, how: usize, app: &App, device: &str, token: &str) -> u64 {
    match how {
        0 => rig.revoke_token(app, token).await.unwrap(),
        1 => rig.revoke_binding(app, device).await.unwrap(),
        2 => rig.revoke_subject(app).await.unwrap(),
        3 => rig.revoke_application(app).await.unwrap(),
        _ => rig.issue(app, device).await.revision,
    }
}

#[tokio::test]
async fn whoever_asks_for_the_revision_of_an_end_is_told_of_it() {
    let rig = Rig::start(10, &[true]).await;
    let validator = &rig.validators[0];
    let client = &validator.client;
    for how in 0..9 {
        // An opaque token is not superseded while it lives.
        let format = [TokenFormat::Jwt, TokenFormat::Opaque][usize::from(how >= 5)];
        let (app, device) = (Rig::app(format, how), format!("device-{how}"));
        let token = rig.issue(&app, &device).await.access_token;
        ask_until(client, &rig.api, &token, 20 * LEASE, |seen| {
            seen.allowed() && seen.is_kept()
        })
        .await;

        // Reads pass, what Redis tells does not.
        validator.proxy().set(Weather::mute().of_tracking());
        let revision = end(&rig, how % 5, &app, &device, &token).await;
        let ended = Instant::now();
        while ended.elapsed() < 2 * LEASE {
            for requirement in [
                Requirement::AtLeastAsFresh(revision),
                Requirement::AtLeastAsFresh(revision + 1),
                Requirement::FullyConsistent(true),
            ] {
                let seen = ask(client, &rig.api, at_least(&token, requirement)).await;
                assert!(seen.denied(), "{how}, {requirement:?}: {seen:?}");
            }
            let seen = ask(client, &rig.api, about(&token)).await;
            let late = seen.started.duration_since(ended);
            assert!(seen.denied() || (seen.allowed() && late <= LEASE), "{how}: {late:?}");
        }
        validator.proxy().calm();
        validator.wait_for_health(ServingStatus::Serving).await;
    }
}

#[tokio::test]
async fn a_token_is_good_at_the_revision_of_its_issue() {
    let rig = Rig::start(1, &[true]).await;
    let validator = &rig.validators[0];
    for weather in [Weather::default(), Weather::mute().of_tracking()] {
        validator.proxy().set(weather);
        for number in 0..20 {
            for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
                let issued = rig.issue(&Rig::app(format, 0), &format!("device-{number}")).await;
                for requirement in [
                    Requirement::MinimizeLatency(true),
                    Requirement::AtLeastAsFresh(issued.revision),
                    Requirement::FullyConsistent(true),
                ] {
                    let question = at_least(&issued.access_token, requirement);
                    let seen = ask(&validator.client, &rig.api, question).await;
                    assert!(seen.allowed(), "{weather:?}, {requirement:?}: {seen:?}");
                }
            }
        }
    }
}
