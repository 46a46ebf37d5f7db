//! A clock that is set while the issuer runs makes no dead tokens.

use std::sync::Arc;
use std::time::Duration;

use tokenbind_index::{Clock, ManualClock, SkewLimits, UNTRUSTED, WatchedClock, compare_clocks};
use tokenbind_proto::v1::TokenFormat;

use crate::context::Issuer;
use crate::error::IssuerError;
use crate::test_support::{Harness, START_US, request};

const HOUR: Duration = Duration::from_secs(3_600);

/// An issuer whose clock is not that of the store.
fn with_clock(harness: &Harness, clock: &Arc<ManualClock>) -> Issuer {
    let watched = WatchedClock::new(Arc::clone(clock) as Arc<dyn Clock>, SkewLimits::default());
    Issuer {
        clock: Arc::new(watched),
        ..harness.issuer.clone()
    }
}

#[tokio::test]
async fn a_clock_that_was_set_an_hour_on_or_back_is_noticed_with_the_first_token() {
    let hour_us = u64::try_from(HOUR.as_micros()).unwrap();
    for (begins_us, ahead, wrong_at_first) in [(START_US, HOUR, false), (START_US - hour_us, HOUR, true)] {
        let harness = Harness::new();
        harness.application("shop", TokenFormat::Jwt, |_| {}).await;
        let clock = Arc::new(ManualClock::new(begins_us));
        let issuer = with_clock(&harness, &clock);
        if wrong_at_first {
            // It begins right, and is set back.
            clock.set_ahead(ahead);
            assert!(issuer.issue_token(request("shop", "")).await.is_ok());
            clock.set_ahead(Duration::ZERO);
        } else {
            assert!(issuer.issue_token(request("shop", "")).await.is_ok());
            clock.set_ahead(ahead);
        }
        assert!(issuer.clock.is_trusted(), "nobody has noticed yet");
        let refused = issuer.issue_token(request("shop", "")).await.unwrap_err();
        assert_eq!(refused, IssuerError::Unavailable(UNTRUSTED.to_owned()));
        assert!(!issuer.clock.is_trusted());
        // Right again, and compared: everything goes on.
        clock.set_ahead(if wrong_at_first { ahead } else { Duration::ZERO });
        compare_clocks(harness.issuer.store.as_ref(), issuer.clock.as_ref())
            .await
            .unwrap();
        assert!(issuer.issue_token(request("shop", "")).await.is_ok());
    }
}
