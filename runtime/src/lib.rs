//! The shell of a process: configuration, telemetry, TLS, health, limits and shutdown. No business rule lives here.
//!
//! A binary wires it in this order: parse the arguments and check all of them ([`config`]), [`telemetry::init`],
//! [`shutdown::Shutdown::on_signals`], what the service needs, [`health::Readiness::watch`], [`admin::AdminServer`],
//! [`server::serve`], [`shutdown::Shutdown::finish`], [`telemetry::Telemetry::shutdown`].
//!
//! Apart from telemetry nothing is global to the process, so that several services can run in one.

pub mod admin;
mod at_once;
pub mod audit;
mod body;
pub mod config;
mod connection;
pub mod credentials;
mod front;
mod greeting;
pub mod health;
pub mod http;
mod lane;
pub mod metrics;
mod rpc;
pub mod server;
pub mod shutdown;
pub mod status;
mod talk;
pub mod telemetry;
pub mod tls;
pub mod trace_context;
pub mod watched;
mod workers;
