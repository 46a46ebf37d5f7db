//! gRPC: the services of `tokenbind.v1` that an issuer has.

pub mod access;
pub mod status;
