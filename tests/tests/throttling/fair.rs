//! One application that floods passwords, and others that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{App, Client, DEADLINE, Stack, password, wait_until};
use tokio::sync::Notify;
use tonic::Code;

/// Callers that flood: more than one application may have in the queue, on a machine of few cores.
const CALLERS_PER_CORE: usize = 24;

#[derive(Default)]
struct Flood {
    stop: AtomicBool,
    refused: AtomicUsize,
    /// A place became free.
    judged: Notify,
}

impl Flood {
    /// Guesses at one name after the other, and tries again whenever a place becomes free.
    async fn run(self: Arc<Self>, client: Client, app: App, caller: usize) {
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let free = self.judged.notified();
            number += 1;
            let guess = password(&format!("nobody-{caller}-{number}"), "wrong");
            let error = client.issue(&app, guess).await.unwrap_err();
            if error.code() == Code::ResourceExhausted {
                self.refused.fetch_add(1, Ordering::Relaxed);
                free.await;
            } else {
                self.judged.notify_one();
            }
        }
        self.judged.notify_waiters();
    }
}

#[tokio::test]
async fn an_application_that_floods_passwords_does_not_starve_the_others() {
    // Counted by address, all that comes from here would be held up.
    let stack = Stack::redis(&["--ignore-peer-addresses"], &[]).await;
    let flooding = stack.shop("flood", TokenFormat::Jwt).await;
    let other = stack.shop("other", TokenFormat::Jwt).await;
    stack.user("ada", "correct horse").await;
    let flood = Arc::new(Flood::default());
    let cores = std::thread::available_parallelism().unwrap().get();
    let callers = 0..CALLERS_PER_CORE * cores;
    let callers = callers.map(|caller| tokio::spawn(Arc::clone(&flood).run(stack.client(), flooding.clone(), caller)));
    let callers: Vec<_> = callers.collect();
    wait_until("the queue is full", DEADLINE, async || {
        (flood.refused.load(Ordering::Relaxed) > 0).then_some(())
    })
    .await;
    let before = flood.refused.load(Ordering::Relaxed);
    for _ in 0..5 {
        stack.issue(&other, password("ada", "correct horse")).await.unwrap();
    }
    assert!(
        flood.refused.load(Ordering::Relaxed) > before,
        "the flood went on meanwhile"
    );
    flood.stop.store(true, Ordering::Relaxed);
    flood.judged.notify_waiters();
    for caller in callers {
        caller.await.unwrap();
    }
}
