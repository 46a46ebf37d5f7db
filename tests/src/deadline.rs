//! Waiting for something to become true, never for time to pass.

use std::time::{Duration, Instant};

/// How long anything may take that usually takes no time at all.
pub const DEADLINE: Duration = Duration::from_secs(30);

const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// What one round counts for at most: where it took longer, the machine slept, and whoever was waited for with it.
const LONGEST_ROUND: Duration = Duration::from_secs(5);

/// Asks again and again until there is an answer; `what` names it when there is none in time.
pub async fn wait_until<T>(what: &str, deadline: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut left = Left(deadline);
    loop {
        let began = Instant::now();
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        left.less(began, what, deadline);
    }
}

/// The same where nothing else runs in the thread.
pub(crate) fn poll<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let mut left = Left(deadline);
    loop {
        let began = Instant::now();
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(POLL_INTERVAL / 4);
        left.less(began, what, deadline);
    }
}

struct Left(Duration);

impl Left {
    fn less(&mut self, began: Instant, what: &str, deadline: Duration) {
        self.0 = self.0.saturating_sub(began.elapsed().min(LONGEST_ROUND));
        assert!(!self.0.is_zero(), "not within {deadline:?}: {what}");
    }
}
