//! V11: what an answer says of its own age is so.

use std::time::{Duration, Instant};

use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{Flow, Weather};

use crate::race::{BOTH, End, WORKERS, race};
use crate::rig::{LEASE, Rig};
use crate::seen::{ask_until, freshness, staleness_us};

/// How much later everything arrives.
const DELAY: Duration = Duration::from_millis(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_over_a_slow_link_says_that_it_is_old() {
    let rig = Rig::start(WORKERS, &[true, true]).await;
    for validator in &rig.validators {
        validator.proxy().set(Weather {
            to_client: Flow::Delay(DELAY),
            ..Weather::default()
        });
    }
    let token = rig.issue(&Rig::app(TokenFormat::Jwt, 0), "device").await.access_token;
    for validator in &rig.validators {
        // A heartbeat from before the link became slow is older than this, too, once it is that long ago.
        let slow_since = Instant::now();
        let answers = ask_until(&validator.client, &rig.api, &token, 20 * LEASE, |seen| {
            seen.is_kept() && seen.started.duration_since(slow_since) > 2 * LEASE
        });
        let verdict = answers.await.pop().unwrap().answer.unwrap();
        let told = Duration::from_micros(staleness_us(freshness(&verdict)));
        assert!(told >= DELAY && told <= LEASE, "{told:?}");
    }
    // Each ALLOW is compared with when its token ended.
    let ends = [End::Token, End::Application, End::Binding, End::Subject];
    race(&rig, &BOTH, &ends, 96).await;
}
