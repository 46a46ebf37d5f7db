//! The rules S1–S17 over the embedded store.

mod exchange;
mod faults;
mod grants;
mod refresh;
mod slots;
