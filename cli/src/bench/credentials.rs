//! Who issues and who asks, in what the benchmark starts itself, and at addresses that it is given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::SecretHash;
use tokenbind_issuer::catalog::Catalog;
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, SecretDigest};
use tokenbind_proto::v1::{Application, BindingType, GrantType, Resource, TokenFormat};

use super::args::{Format, TargetArgs};
use super::failed;
use crate::error::CliError;

/// The resource that asks.
const RESOURCE: &str = "bench-api";
/// How many applications share the slots that are issued to: each is a subject of its own.
const APPLICATIONS: u64 = 100;
/// Of everything that the benchmark declares. Its Redis is private, or has a namespace of the benchmark's own.
const SECRET: &str = "tbs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const SCOPE: &str = "bench.read";
/// As long as the longest run.
const LIFETIME_SECONDS: u32 = 24 * 60 * 60;

/// Who issues and who asks.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    /// Applications to issue to.
    clients: Clients,
    client_secret: SecretString,
    resource: String,
    resource_secret: SecretString,
}

#[derive(Clone, Debug)]
enum Clients {
    Own(Format),
    Given(String),
}

impl Credentials {
    /// Those of [`catalog`], or those that were given.
    pub(super) fn new(target: &TargetArgs, format: Format) -> Self {
        // The variables of a shell may hold secrets of something else.
        let target = target.issuer.is_some().then_some(target);
        let given = |secret: fn(&TargetArgs) -> &Option<SecretString>| {
            let secret = target.and_then(|target| secret(target).clone());
            secret.unwrap_or_else(|| SECRET.into())
        };
        let client_id = target.and_then(|target| target.client_id.clone());
        let resource_id = target.and_then(|target| target.resource_id.clone());
        Self {
            clients: client_id.map_or(Clients::Own(format), Clients::Given),
            client_secret: given(|target| &target.client_secret),
            resource: resource_id.unwrap_or_else(|| RESOURCE.to_owned()),
            resource_secret: given(|target| &target.resource_secret),
        }
    }

    /// The application of a slot.
    pub(super) fn client_id(&self, slot: u64) -> String {
        match &self.clients {
            Clients::Own(format) => client_id(*format, slot % APPLICATIONS),
            Clients::Given(id) => id.clone(),
        }
    }

    /// The secret of every application.
    pub(super) fn client_secret(&self) -> &SecretString {
        &self.client_secret
    }

    /// `authorization` of the resource.
    pub(super) fn resource_authorization(&self) -> String {
        let joined = format!("{}:{}", self.resource, self.resource_secret.expose_secret());
        format!("Basic {}", STANDARD.encode(joined))
    }
}

/// The device of a slot.
pub(super) fn binding_id(slot: u64) -> String {
    format!("device-{slot:010}")
}

/// The application whose tokens are validated, where the benchmark makes them itself.
pub(super) fn own_client_id(format: Format) -> String {
    client_id(format, 0)
}

/// What the benchmark declares where it starts the services itself.
pub(super) fn catalog() -> Result<Catalog, CliError> {
    let formats = [Format::Jwt, Format::Opaque];
    let applications = formats
        .iter()
        .flat_map(|format| (0..APPLICATIONS).map(|number| application(*format, number)));
    let resource = Resource {
        resource_id: RESOURCE.to_owned(),
        accepted_client_ids: formats
            .iter()
            .flat_map(|format| (0..APPLICATIONS).map(|number| client_id(*format, number)))
            .collect(),
        accepted_scopes: vec![SCOPE.to_owned()],
        ..Resource::default()
    };
    let resource = ResourceRecord {
        resource: Some(resource),
        secrets: vec![digest()],
    };
    Catalog::from_records(applications.collect(), vec![], vec![resource]).map_err(failed)
}

fn client_id(format: Format, number: u64) -> String {
    match format {
        Format::Jwt => format!("bench-jwt-{number}"),
        Format::Opaque => format!("bench-opaque-{number}"),
    }
}

fn application(format: Format, number: u64) -> ApplicationRecord {
    let token_format = match format {
        Format::Jwt => TokenFormat::Jwt,
        Format::Opaque => TokenFormat::Opaque,
    };
    let application = Application {
        client_id: client_id(format, number),
        token_format: token_format as i32,
        binding_type: BindingType::ClientRequest as i32,
        require_binding: true,
        enforce_binding: true,
        grants: vec![GrantType::ClientCredentials as i32],
        scopes: vec![SCOPE.to_owned()],
        default_scopes: vec![SCOPE.to_owned()],
        audiences: vec![RESOURCE.to_owned()],
        access_token_lifetime_seconds: LIFETIME_SECONDS,
        ..Application::default()
    };
    ApplicationRecord {
        secrets: vec![digest()],
        application: Some(application),
    }
}

fn digest() -> SecretDigest {
    SecretDigest {
        sha256: SecretHash::of(SECRET).as_bytes().to_vec(),
        expires_at: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_passes_the_checks_of_every_declaration() {
        catalog().unwrap();
    }
}
