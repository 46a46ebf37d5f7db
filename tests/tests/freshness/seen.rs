//! What validators answered while something happened, and whether they may have.

use std::time::{Duration, Instant};

use prost_types::{Duration as Span, Timestamp};
use tokenbind_proto::v1::{Decision, Freshness, FreshnessSource, ValidateTokenRequest, ValidateTokenResponse};
use tokenbind_tests::{Client, Resource};
use tonic::{Code, Status};

/// One answer about one token.
#[derive(Debug)]
pub(crate) struct Seen {
    /// When the question was sent.
    pub(crate) started: Instant,
    pub(crate) answer: Result<ValidateTokenResponse, Status>,
}

impl Seen {
    pub(crate) fn allowed(&self) -> bool {
        self.answer.as_ref().is_ok_and(allowed)
    }

    pub(crate) fn denied(&self) -> bool {
        self.answer
            .as_ref()
            .is_ok_and(|verdict| verdict.decision() == Decision::Unauthenticated)
    }

    /// V10: no verdict is made up.
    pub(crate) fn unavailable(&self) -> bool {
        self.answer
            .as_ref()
            .is_err_and(|status| status.code() == Code::Unavailable)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.answer.as_ref().is_ok_and(from_cache)
    }
}

pub(crate) fn allowed(verdict: &ValidateTokenResponse) -> bool {
    verdict.decision() == Decision::Allow
}

pub(crate) fn from_cache(verdict: &ValidateTokenResponse) -> bool {
    freshness(verdict).source() == FreshnessSource::Cache
}

/// Asks once.
pub(crate) async fn ask(client: &Client, api: &Resource, question: ValidateTokenRequest) -> Seen {
    let started = Instant::now();
    let answer = client.judge(api, question).await;
    Seen { started, answer }
}

/// Asks about a token again and again, until `last` says of an answer that it is the last.
pub(crate) async fn ask_until(
    client: &Client,
    api: &Resource,
    token: &str,
    deadline: Duration,
    last: impl Fn(&Seen) -> bool,
) -> Vec<Seen> {
    let end = Instant::now() + deadline;
    let mut all = Vec::new();
    loop {
        let seen = ask(client, api, about(token)).await;
        let is_last = last(&seen);
        all.push(seen);
        if is_last {
            return all;
        }
        assert!(Instant::now() < end, "not within {deadline:?}; last: {:?}", all.last());
    }
}

/// A question about a token alone.
pub(crate) fn about(token: &str) -> ValidateTokenRequest {
    ValidateTokenRequest {
        token: token.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn freshness(verdict: &ValidateTokenResponse) -> &Freshness {
    verdict.freshness.as_ref().unwrap()
}

/// The oldest instant that the facts may be of, as the answer says, in microseconds since 1970: the unit, and on one machine
/// the clock, of the index's revisions.
pub(crate) fn known_at_us(verdict: &ValidateTokenResponse) -> u64 {
    let freshness = freshness(verdict);
    let Timestamp { seconds, nanos } = freshness.checked_at.unwrap();
    micros(seconds, nanos) - staleness_us(freshness)
}

pub(crate) fn staleness_us(freshness: &Freshness) -> u64 {
    let Span { seconds, nanos } = freshness.max_staleness.unwrap();
    micros(seconds, nanos)
}

fn micros(seconds: i64, nanos: i32) -> u64 {
    u64::try_from(seconds * 1_000_000 + i64::from(nanos) / 1_000).unwrap()
}
