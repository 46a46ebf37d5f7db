//! What the tests stand on: real servers of their own, on free ports, gone with the test.

#![expect(clippy::expect_used, clippy::panic, reason = "a test stops where it fails")]

mod redis_server;

pub use redis_server::RedisServer;
