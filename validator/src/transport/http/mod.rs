//! OAuth over HTTP: introspection, as gRPC has it.

mod accepted;
mod introspect;
mod members;
mod metadata;
mod signed;

use std::sync::Arc;

use axum::routing::{get, post};
use tokenbind_index::Clock;
use tokenbind_runtime::http::{HttpRoutes, path_of};

use self::metadata::Published;
pub use self::signed::IntrospectionSigner;
use crate::caller::Callers;
use crate::engine::Validator;

/// Below the identity.
const INTROSPECTION_PATH: &str = "/oauth2/introspect";
const JWKS_PATH: &str = "/oauth2/jwks";
/// RFC 8414, section 3. A path of the identity comes behind it.
const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// As whom a validator introspects over HTTP.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where callers reach it: the `issuer` of its metadata, and the `iss` of signed answers.
    pub issuer: String,
    /// Signs answers, if they can be asked for signed.
    pub signer: Option<Arc<IntrospectionSigner>>,
}

/// What the routes share.
#[derive(Clone)]
struct Shared {
    validator: Arc<Validator>,
    callers: Callers,
    clock: Arc<dyn Clock>,
    identity: Option<Identity>,
}

/// What a validator answers over HTTP. If its identity has a path, everything is there, and also without it: a proxy may take it
/// away. `certificates`: whether callers are asked for them.
pub(crate) fn routes(
    validator: Arc<Validator>,
    callers: Callers,
    clock: Arc<dyn Clock>,
    identity: Option<Identity>,
    certificates: bool,
) -> HttpRoutes {
    let prefix = identity
        .as_ref()
        .map(|identity| path_of(&identity.issuer))
        .unwrap_or_default();
    let published = identity.as_ref().map(|identity| Published::of(identity, certificates));
    let shared = Shared {
        validator,
        callers,
        clock,
        identity,
    };
    let introspection = post(introspect::answer).with_state(shared);
    let routes = HttpRoutes::new()
        .route(&format!("{prefix}{INTROSPECTION_PATH}"), introspection.clone())
        .route(INTROSPECTION_PATH, introspection);
    let Some(Published { metadata, jwks }) = published else {
        return routes;
    };
    let well_known = get(metadata::answer).with_state(metadata);
    let routes = routes
        .route(&format!("{METADATA_PATH}{prefix}"), well_known.clone())
        .route(METADATA_PATH, well_known);
    let Some(jwks) = jwks else {
        return routes;
    };
    let keys = get(metadata::answer).with_state(jwks);
    routes
        .route(&format!("{prefix}{JWKS_PATH}"), keys.clone())
        .route(JWKS_PATH, keys)
}
