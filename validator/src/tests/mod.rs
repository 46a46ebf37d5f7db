//! The validator over an embedded index and a clock that the tests move. Tokens are signed here, never by our issuer.

mod answers;
mod fixture;
mod grpc;
mod hostile;
mod introspection;
mod jwt;
mod kept;
mod keys;
mod layer;
mod life;
mod limits;
mod observed;
mod rules;
mod served;
mod signer;
mod stale;
mod store;
mod streams;
mod watch;
