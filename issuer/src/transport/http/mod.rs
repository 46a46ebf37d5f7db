//! OAuth over HTTP: a form becomes a message of the contract, and from there on there is one path for both transports.

mod error;
mod jwks;
mod metadata;
mod revoke;
mod token;

use axum::routing::{MethodRouter, get, post};
use http::HeaderValue;
use tokenbind_runtime::http::{HttpRoutes, path_of};

use crate::context::Issuer;

use self::metadata::Metadata;

/// Below the issuer identifier.
const TOKEN_PATH: &str = "/oauth2/token";
const REVOCATION_PATH: &str = "/oauth2/revoke";
const JWKS_PATH: &str = "/oauth2/jwks";
/// RFC 8414, section 3. A path of the issuer identifier comes behind it.
const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// What an issuer over HTTP does not know by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where a validator introspects.
    pub introspection_endpoint: Option<String>,
    /// Whose pages may call from a browser.
    pub cors_origins: Vec<HeaderValue>,
    /// Whether clients are asked for certificates.
    pub client_certificates: bool,
}

/// What an issuer answers over HTTP. If the issuer identifier has a path, everything is there, and also without it: a proxy may
/// take it away.
pub fn routes(issuer: &Issuer, settings: &HttpSettings) -> HttpRoutes {
    let prefix = path_of(&issuer.issuer_url);
    let metadata = Metadata::of(issuer, settings);
    let well_known = || get(metadata::answer).with_state(metadata.clone());
    let below = |path: &str, methods: fn() -> MethodRouter<Issuer>| {
        let methods = methods().with_state(issuer.clone());
        (path.to_owned(), methods)
    };
    [
        below(TOKEN_PATH, || post(token::answer)),
        below(REVOCATION_PATH, || post(revoke::answer)),
        below(JWKS_PATH, || get(jwks::answer)),
    ]
    .into_iter()
    .fold(HttpRoutes::new(), |routes, (path, methods)| {
        routes
            .route(&format!("{prefix}{path}"), methods.clone())
            .route(&path, methods)
    })
    .route(&format!("{METADATA_PATH}{prefix}"), well_known())
    .route(METADATA_PATH, well_known())
    .open_to(&settings.cors_origins)
}
