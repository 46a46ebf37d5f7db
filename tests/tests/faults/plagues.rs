//! What happens again and again beside the faults: a validator of its own is killed, keys are rotated.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokenbind_tests::history::{Micros, Plague, Recorder};
use tokenbind_tests::{Installation, health};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::rig::{Directory, Rig, Service};

const KILLED_EVERY: Duration = Duration::from_secs(2);
const ROTATED_EVERY: Duration = Duration::from_secs(30);
/// A run that shall be short has both, but not for long.
const FEW_KILLS: usize = 5;
const SHORTLY: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// How much of it a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dose {
    None,
    /// At the beginning.
    Short,
    /// From the beginning to the end.
    Whole,
}

/// They go on in a thread of their own.
pub(crate) struct Plagues {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Plagues {
    /// Starts what the rig has somebody for.
    pub(crate) fn start(rig: &mut Rig, dose: Dose) -> Option<Self> {
        let mortal = rig.mortal.take()?;
        let (stop, stopped) = watch::channel(false);
        let (recorder, installation) = (Arc::clone(&rig.recorder), Arc::clone(&rig.installation));
        let killing = Killing {
            mortal,
            directory: Arc::clone(&rig.directory),
            recorder: Arc::clone(&recorder),
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let rotating = rotate(&installation, &recorder, dose, &stopped);
                tokio::join!(killing.go_on(dose, &stopped), rotating);
            });
        });
        Some(Self {
            stop,
            thread: Some(thread),
        })
    }

    pub(crate) fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Plagues {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn until(stopped: &watch::Receiver<bool>) {
    // An error: nobody is there any more.
    let _ = stopped.clone().wait_for(|stopped| *stopped).await;
}

/// A new signing key and a new opaque key, each time. Nobody notices.
async fn rotate(installation: &Installation, recorder: &Recorder, dose: Dose, stopped: &watch::Receiver<bool>) {
    let pause = if dose == Dose::Short { SHORTLY } else { ROTATED_EVERY };
    while timeout(pause, until(stopped)).await.is_err() {
        let start = recorder.now();
        installation.put_new_keys();
        recorder.plague(Plague {
            plague: "keys rotated".to_owned(),
            start,
            end: recorder.now(),
            validator: None,
        });
        if dose == Dose::Short {
            return;
        }
    }
}

/// `kill -9` of a validator that nothing else is done to.
struct Killing {
    mortal: Service,
    directory: Arc<Directory>,
    recorder: Arc<Recorder>,
}

impl Killing {
    async fn go_on(mut self, dose: Dose, stopped: &watch::Receiver<bool>) {
        let mut due = interval(KILLED_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kills = if dose == Dose::Short { FEW_KILLS } else { usize::MAX };
        while kills > 0 {
            tokio::select! {
                _ = due.tick() => {}
                () = until(stopped) => return,
            }
            kills -= 1;
            let start = self.recorder.now();
            self.mortal.kill_and_start();
            // One that is not up by then is killed before it is.
            let last = kills == 0;
            let up = tokio::select! {
                channel = self.up() => channel,
                () = sleep(KILLED_EVERY), if !last => None,
                () = until(stopped) => None,
            };
            if let Some(channel) = up {
                let replica = &self.directory.validators[self.mortal.number];
                *replica.write().unwrap_or_else(PoisonError::into_inner) = channel;
            }
            self.killed(start);
        }
        // It lives on until the end of the run.
        until(stopped).await;
    }

    fn killed(&self, start: Micros) {
        self.recorder.plague(Plague {
            plague: "a validator killed".to_owned(),
            start,
            end: self.recorder.now(),
            validator: Some(self.mortal.number),
        });
    }

    /// Waits until it serves; `None` where it has ended, as over a store that it refuses.
    async fn up(&mut self) -> Option<Channel> {
        let mut channel = None;
        loop {
            if self.mortal.process.ended().is_some() {
                return None;
            }
            if channel.is_none() {
                channel = self.mortal.process.logged("serving").map(|at| self.mortal.connect(&at));
            }
            if let Some(channel) = &channel
                && health(channel, "").await == Some(ServingStatus::Serving)
            {
                return Some(channel.clone());
            }
            sleep(POLL).await;
        }
    }
}
