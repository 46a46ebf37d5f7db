//! Clients that ask without end: they log in, refresh, revoke, validate and watch, also against each other.

mod actor;
pub(crate) mod calls;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use futures::future::join_all;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::rig::{CLIENTS, Rig};
use actor::Actor;
use calls::Caller;

/// Clients at work, in a thread of their own.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// So many clients. What each does next is decided by the seed and by what it was answered.
    pub(crate) fn start(rig: &Rig, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let caller = Caller {
            directory: Arc::clone(&rig.directory),
            recorder: Arc::clone(&rig.recorder),
        };
        let recorder = Arc::clone(&rig.recorder);
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let assertions = Arc::new(AtomicUsize::new(0));
            let actors = (0..CLIENTS).map(|number| {
                let actor = Actor::new(caller.clone(), number, seed, Arc::clone(&assertions), stopped.clone());
                actor.work()
            });
            let local = LocalSet::new();
            let working = join_all(actors);
            runtime.block_on(local.run_until(async {
                tokio::select! {
                    _ = working => {}
                    () = recorder.watch_stalls() => {}
                    () = recorder.watch_starvation() => {}
                }
            }));
            // The watches that are left say so.
            runtime.block_on(local);
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it, and what is left of its calls.
    pub(crate) fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
