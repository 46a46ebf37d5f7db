//! Flags and environment variables, checked all at once.
//!
//! The arguments are text as far as `clap` is concerned; `check` turns them into a configuration and collects every
//! [violation](Violations), so that nobody fixes a deployment one error at a time.

mod clock;
mod server;
mod telemetry;
mod variables;
mod violations;

pub use clock::{ClockArgs, ClockConfig};
pub use server::{ServerArgs, ServerConfig};
pub use telemetry::{LogFormat, TelemetryArgs, TelemetryConfig};
pub use variables::unknown_variables;
pub use violations::Violations;
