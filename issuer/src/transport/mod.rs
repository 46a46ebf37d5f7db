//! What the outside speaks. Each turns its messages into domain types, and errors into what it answers, in one place.

pub mod grpc;
pub mod http;
