//! What was asked of the services and answered, written down while it happened and judged afterwards.
//!
//! [`Recorder`] writes the [`History`]: every call with the instants at which it began and ended, on one monotonic clock, and
//! every fault that was injected. [`check`] knows the promises, and nothing of the load or of the services: a violation is
//! found in the history alone. Tokens are numbers here; what they are is never written.

mod check;
mod event;
mod recorder;
mod starvation;

pub use check::{Figures, Invariant, Judgement, Violation, check};
pub use event::{
    Answer, Call, Event, Fault, FaultNumber, Gentleness, History, Loss, Micros, Plague, Promises, RefreshNumber, Slot,
    Stall, TokenNumber,
};
pub use recorder::{Open, Recorder};
