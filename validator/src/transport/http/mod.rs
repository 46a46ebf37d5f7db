//! OAuth over HTTP: introspection, as gRPC has it.

mod introspect;
mod members;

use std::sync::Arc;

use axum::routing::post;
use tokenbind_runtime::http::HttpRoutes;

use crate::caller::Callers;
use crate::engine::Validator;

const INTROSPECTION_PATH: &str = "/oauth2/introspect";

/// What the routes share.
#[derive(Clone)]
struct Shared {
    validator: Arc<Validator>,
    callers: Callers,
}

/// What a validator answers over HTTP.
pub(crate) fn routes(validator: Arc<Validator>, callers: Callers) -> HttpRoutes {
    let shared = Shared { validator, callers };
    HttpRoutes::new().route(INTROSPECTION_PATH, post(introspect::answer).with_state(shared))
}
