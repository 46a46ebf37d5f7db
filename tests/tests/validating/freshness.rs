//! V11, V13: how a verdict was reached, and that nothing but facts is kept.

use tokenbind_proto::v1::consistency::Requirement;
use tokenbind_proto::v1::{Consistency, FreshnessSource, Reason, UpdateResourceRequest, ValidateTokenRequest};
use tokenbind_tests::{DEADLINE, Stack, api, mask, on_every_backend, wait_until};

use crate::fixture::{Shops, about, issue};

on_every_backend!(
    v11_a_verdict_says_how_it_was_reached,
    v11_a_verdict_is_as_fresh_as_was_asked,
    v13_a_changed_policy_holds_at_the_next_call,
);

async fn v11_a_verdict_says_how_it_was_reached(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let issued = stack.issue(app, tokenbind_tests::client_credentials()).await.unwrap();
        let freshness = stack
            .validate(&shops.api, &issued.access_token)
            .await
            .freshness
            .unwrap();
        assert_ne!(freshness.source(), FreshnessSource::Unspecified);
        assert_eq!(freshness.revision, issued.revision);
        let checked_at = freshness.checked_at.unwrap();
        assert!(checked_at.seconds > 0);
        // The age that the contract allows at most.
        assert!(freshness.max_staleness.unwrap().seconds <= 2);
    }
    let freshness = stack.validate(&shops.api, "nonsense").await.freshness.unwrap();
    assert_eq!(freshness.source(), FreshnessSource::Token);
    assert_eq!(freshness.revision, 0);
}

async fn v11_a_verdict_is_as_fresh_as_was_asked(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        for _ in 0..20 {
            let token = issue(&stack, app, "phone-1").await;
            stack.assert_live(&shops.api, &token).await;
            let revision = stack.revoke(app, &token).await.unwrap().revision;
            for requirement in [
                Requirement::AtLeastAsFresh(revision),
                Requirement::FullyConsistent(true),
            ] {
                let consistency = Consistency {
                    requirement: Some(requirement),
                };
                let question = ValidateTokenRequest {
                    consistency: Some(consistency),
                    ..about(&token)
                };
                let verdict = stack.judge(&shops.api, question).await.unwrap();
                assert_eq!(verdict.reason(), Reason::TokenNotLive);
            }
        }
    }
}

async fn v13_a_changed_policy_holds_at_the_next_call(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let token = issue(&stack, app, "").await;
        for (accepted, reason) in [
            (&[][..], Reason::ClientNotAccepted),
            (&[&shops.jwt, &shops.opaque], Reason::Valid),
            (&[], Reason::ClientNotAccepted),
            (&[app], Reason::Valid),
        ] {
            let request = stack.as_admin(UpdateResourceRequest {
                resource: Some(api("api", accepted)),
                update_mask: Some(mask(&["accepted_client_ids"])),
            });
            stack.resources().update_resource(request).await.unwrap();
            // Told within milliseconds; a call may be faster.
            wait_until("the policy holds", DEADLINE, async || {
                (stack.validate(&shops.api, &token).await.reason() == reason).then_some(())
            })
            .await;
        }
        // Between the applications of this test: both again.
        let request = stack.as_admin(UpdateResourceRequest {
            resource: Some(api("api", &[&shops.jwt, &shops.opaque])),
            update_mask: Some(mask(&["accepted_client_ids"])),
        });
        stack.resources().update_resource(request).await.unwrap();
    }
}
