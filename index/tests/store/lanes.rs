//! Each runtime has a connection of its own, which is made again when it was lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokenbind_index::Store;
use tokenbind_tests::RedisServer;

use crate::harness::Harness;
use crate::samples::Sample;

/// Connections beside the one that asks.
fn connections(server: &RedisServer) -> usize {
    let clients: String = redis::cmd("CLIENT")
        .arg("LIST")
        .query(&mut server.connection())
        .expect("clients");
    clients.lines().count() - 1
}

fn on_a_runtime_of_its_own(store: &Arc<dyn Store>, sample: Sample) {
    let store = Arc::clone(store);
    let used = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            store.issue(sample.issue()).await.expect("issue");
            assert!(store.read(&sample.locator()).await.expect("read").is_some());
        });
    });
    used.join().expect("no panic");
}

#[tokio::test]
async fn a_runtime_that_ended_takes_no_connection_from_another() {
    let on = Harness::redis().await;
    assert_eq!(connections(on.server()), 1);
    for serial in 0..3 {
        let sample = Sample {
            serial,
            ..Sample::default()
        };
        on_a_runtime_of_its_own(&on.store, sample);
        on.store.issue(sample.issue()).await.expect("issue");
    }
}

#[tokio::test]
async fn tasks_of_one_runtime_share_a_connection() {
    let on = Harness::redis().await;
    let tasks: Vec<_> = (0..32)
        .map(|serial| {
            let store = Arc::clone(&on.store);
            tokio::spawn(async move {
                let sample = Sample {
                    serial,
                    ..Sample::default()
                };
                store.issue(sample.issue()).await.expect("issue");
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(connections(on.server()), 1);
}

/// Nobody pays for a connection that was lost while it was idle.
#[tokio::test]
async fn a_lost_connection_is_made_again_by_who_needs_it() {
    let on = Harness::redis().await;
    for _ in 0..3 {
        redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "normal"])
            .exec(&mut on.server().connection())
            .expect("kill");
        let deadline = Instant::now() + Duration::from_secs(10);
        while connections(on.server()) > 0 {
            assert!(Instant::now() < deadline, "still connected");
            tokio::task::yield_now().await;
        }
        // The end of the connection is there to be read before anything else is.
        tokio::task::yield_now().await;
        tokio::time::timeout(Duration::from_secs(10), async {
            while on.store.ping().await.is_err() {}
        })
        .await
        .expect("in time");
        on.store.issue(Sample::default().issue()).await.expect("issue");
        assert_eq!(connections(on.server()), 1);
    }
}
