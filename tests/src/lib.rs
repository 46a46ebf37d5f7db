//! What the tests stand on: real processes of their own, on free ports, gone with the test, and clients of the public
//! contract. Nothing here knows how a service works inside.

#![expect(clippy::expect_used, clippy::panic, reason = "a test stops where it fails")]
#![expect(
    clippy::missing_panics_doc,
    reason = "a test stops where it fails, in every function"
)]
#![expect(clippy::print_stderr, reason = "a failed test shows the logs of its processes")]

mod ask;
mod binaries;
mod client;
mod deadline;
mod dev;
mod errors;
mod foreign;
pub mod history;
mod http;
mod process;
mod proxy;
mod redis_cluster;
mod redis_dump;
mod redis_sentinel;
mod redis_server;
mod redis_tls;
mod services;
mod stack;

pub use ask::{ACCESS_TOKEN, Ask, JWT, client_credentials, exchange, exchange_with, jwt_bearer, password, refresh};
pub use binaries::{binary, tool};
pub use client::{App, Client, Resource, basic, bearer, channel, health, with_authorization};
pub use deadline::{DEADLINE, wait_until};
pub use dev::DevStack;
pub use errors::{fields, reason, retry_after};
pub use foreign::{Behaviour, ForeignIssuer, ForeignKey, now};
pub use http::{Http, HttpAnswer, encode};
pub use process::Process;
pub use proxy::{Flow, Proxy, Weather};
pub use redis_cluster::RedisCluster;
pub use redis_dump::dump;
pub use redis_sentinel::{MASTER_NAME, RedisSentinel};
pub use redis_server::{RedisServer, free_port};
pub use redis_tls::{RedisCertificates, RedisTls};
pub use services::{
    ADMIN_ID, ADMIN_SECRET, ADMIN_SECRET_SHA256, Installation, start_service, start_validator, start_validator_at,
    validator_command,
};
pub use stack::{Backend, Stack, api, mask, shop};
