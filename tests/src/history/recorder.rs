//! Writes a history down.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::event::{Answer, Call, Event, Fault, History, Micros, Plague, Promises, RefreshNumber, Stall, TokenNumber};
use super::starvation::Waits;

/// How often it is looked whether there is a processor, and which pause is a stall.
const PULSE: Duration = Duration::from_millis(50);
const STALL: Duration = Duration::from_millis(400);
/// How often it is looked whether the processes under test had one.
const LOOK: Duration = Duration::from_millis(200);

/// Writes down what several tasks ask and are answered.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    faults: Vec<Fault>,
    plagues: Vec<Plague>,
    stalls: Vec<Stall>,
    starved: Vec<Stall>,
    tokens: HashMap<String, TokenNumber>,
    refresh_tokens: HashMap<String, RefreshNumber>,
}

/// A call that has begun.
#[derive(Debug)]
pub struct Open {
    start: Micros,
    call: Call,
}

impl Open {
    /// It became this call: another server took it than the one that was asked first.
    #[must_use]
    pub fn becomes(self, call: Call) -> Self {
        Self { call, ..self }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::default(),
        }
    }
}

impl Recorder {
    /// Now, on the clock of the history.
    pub fn now(&self) -> Micros {
        Micros::try_from(self.began.elapsed().as_micros()).expect("less than a lifetime")
    }

    /// To be called before the request is sent.
    pub fn begin(&self, call: Call) -> Open {
        Open {
            start: self.now(),
            call,
        }
    }

    /// To be called once the answer is there.
    pub fn end(&self, open: Open, answer: Answer) {
        let end = self.now();
        let Open { start, call } = open;
        self.state().events.push(Event {
            start,
            end,
            call,
            answer,
        });
    }

    /// The number of an access token.
    pub fn token(&self, text: &str) -> TokenNumber {
        number(&mut self.state().tokens, text)
    }

    /// The number of a refresh token.
    pub fn refresh_token(&self, text: &str) -> RefreshNumber {
        number(&mut self.state().refresh_tokens, text)
    }

    /// Something was done, and is over.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Something was done beside the faults, and is over.
    pub fn plague(&self, plague: Plague) {
        self.state().plagues.push(plague);
    }

    /// How many calls were answered, whatever that was.
    pub fn answered(&self) -> usize {
        self.state().events.len()
    }

    /// Notes for as long as it is polled when this process had no processor.
    pub async fn watch_stalls(&self) {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(PULSE).await;
            if last.elapsed() > STALL {
                let end = self.now();
                let length = Micros::try_from(last.elapsed().as_micros()).expect("less than a lifetime");
                let start = end.saturating_sub(length);
                self.state().stalls.push(Stall { start, end });
            }
            last = Instant::now();
        }
    }

    /// Notes for as long as it is polled when a process that this one has started had no processor.
    pub async fn watch_starvation(&self) {
        let mut waits = Waits::default();
        let mut last = self.now();
        loop {
            tokio::time::sleep(LOOK).await;
            let longest = waits.starved();
            let end = self.now();
            if let Some(longest) = longest {
                // It is counted when it is over.
                let longest = Micros::try_from(longest.as_micros()).expect("less than a lifetime");
                let start = last.saturating_sub(longest);
                self.state().starved.push(Stall { start, end });
            }
            last = end;
        }
    }

    /// What was written so far.
    pub fn history(&self, promises: Promises) -> History {
        let state = self.state();
        History {
            promises,
            events: state.events.clone(),
            faults: state.faults.clone(),
            plagues: state.plagues.clone(),
            stalls: state.stalls.clone(),
            starved: state.starved.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(numbers: &mut HashMap<String, usize>, text: &str) -> usize {
    let next = numbers.len();
    *numbers.entry(text.to_owned()).or_insert(next)
}
