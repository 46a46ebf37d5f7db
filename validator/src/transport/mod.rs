//! How questions come in: each protocol turns its messages into a [`Question`](crate::Question) and a verdict into its own
//! answer.

pub mod grpc;
pub mod http;
