//! What every development stack declares. The credentials are well known on purpose: the snippets of the documentation
//! run as they are, and several stacks on one Redis are replicas of one issuer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenbind_index::{Entropy, GeneratedSecret, SecretHash};
use tokenbind_issuer::admin_access::{ADMIN_AUDIENCE, ADMIN_SCOPE};
use tokenbind_issuer::catalog::Catalog;
use tokenbind_issuer::password::hash_password;
use tokenbind_issuer::trust::{ExchangePolicy, Party};
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, SecretDigest, UserRecord};
use tokenbind_proto::v1::claim_mapping::Value;
use tokenbind_proto::v1::{Application, BindingType, ClaimMapping, GrantType, Resource, TokenFormat, User};

use crate::error::CliError;

/// The scope that the samples are granted when they do not ask.
const READ: &str = "orders.read";
/// The other one.
const WRITE: &str = "orders.write";
/// The application that may administer.
pub(super) const ADMIN: &str = "admin";
/// The resource.
pub(super) const RESOURCE: &str = "orders-api";
/// The user.
pub(super) const USERNAME: &str = "alice";
/// The user's password.
pub(super) const PASSWORD: &str = "wonderland";

/// A sample application.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) client_id: &'static str,
    pub(super) token_format: TokenFormat,
    pub(super) binding_type: BindingType,
    pub(super) what: &'static str,
}

/// The sample applications, in the order in which they are shown. The resource accepts those with a binding.
pub(super) const APPLICATIONS: [Sample; 3] = [
    Sample {
        client_id: "shop-jwt",
        token_format: TokenFormat::Jwt,
        binding_type: BindingType::ClientRequest,
        what: "a new token supersedes the one of the same device",
    },
    Sample {
        client_id: "shop-opaque",
        token_format: TokenFormat::Opaque,
        binding_type: BindingType::ClientRequest,
        what: "the live token of a device is answered again",
    },
    Sample {
        client_id: "intruder",
        token_format: TokenFormat::Jwt,
        binding_type: BindingType::None,
        what: "orders-api does not accept its tokens",
    },
];

/// The secret of an application or resource.
pub(super) fn secret(id: &str) -> String {
    let digest = SecretHash::of(&format!("tokenbind development secret {id}"));
    GeneratedSecret::PREFIX.to_owned() + &URL_SAFE_NO_PAD.encode(digest.as_bytes())
}

/// Everything, to be made where it is not there yet.
pub(super) fn catalog(entropy: &dyn Entropy) -> Result<Catalog, CliError> {
    let internal = |error: String| CliError::Internal(format!("the samples are wrong: {error}"));
    let mut applications: Vec<_> = APPLICATIONS.iter().map(application).collect();
    applications.push(admin());
    let user = user(entropy).map_err(|error| internal(error.to_string()))?;
    Catalog::from_records(applications, vec![user], vec![resource()]).map_err(|error| internal(error.to_string()))
}

/// The samples may exchange each other's tokens: in the name of their subject, or of who acts for it.
pub(super) fn policies() -> Vec<ExchangePolicy> {
    let ids: Vec<_> = APPLICATIONS.iter().map(|sample| sample.client_id.to_owned()).collect();
    let issued = || Party::Issued {
        client_ids: ids.clone(),
    };
    let policy = |name: &str, actor| ExchangePolicy {
        name: name.to_owned(),
        grants: vec![GrantType::TokenExchange],
        client_ids: ids.clone(),
        subject: issued(),
        actor,
        scopes: vec![READ.to_owned(), WRITE.to_owned()],
        audiences: vec![RESOURCE.to_owned()],
    };
    vec![policy("samples", None), policy("samples for samples", Some(issued()))]
}

fn application(sample: &Sample) -> ApplicationRecord {
    let application = Application {
        client_id: sample.client_id.to_owned(),
        display_name: format!("Sample: {}", sample.what),
        token_format: sample.token_format as i32,
        binding_type: sample.binding_type as i32,
        grants: vec![
            GrantType::Password as i32,
            GrantType::ClientCredentials as i32,
            GrantType::TokenExchange as i32,
            GrantType::JwtBearer as i32,
            GrantType::RefreshToken as i32,
        ],
        scopes: vec![READ.to_owned(), WRITE.to_owned()],
        default_scopes: vec![READ.to_owned()],
        audiences: vec![RESOURCE.to_owned()],
        claims: vec![ClaimMapping {
            name: "email".to_owned(),
            value: Some(Value::UserAttribute("email".to_owned())),
        }],
        ..Application::default()
    };
    with_secret(application)
}

/// Opaque: commands that run at the same time get the same token. With a JWT each would kill the others'.
fn admin() -> ApplicationRecord {
    with_secret(Application {
        client_id: ADMIN.to_owned(),
        display_name: "Sample: administers everything".to_owned(),
        token_format: TokenFormat::Opaque as i32,
        binding_type: BindingType::None as i32,
        grants: vec![GrantType::ClientCredentials as i32],
        scopes: vec![ADMIN_SCOPE.to_owned()],
        audiences: vec![ADMIN_AUDIENCE.to_owned()],
        ..Application::default()
    })
}

fn with_secret(application: Application) -> ApplicationRecord {
    ApplicationRecord {
        secrets: vec![digest(&application.client_id)],
        application: Some(application),
    }
}

fn user(entropy: &dyn Entropy) -> Result<UserRecord, tokenbind_issuer::IssuerError> {
    let user = User {
        username: USERNAME.to_owned(),
        attributes: [("email".to_owned(), "alice@example.com".to_owned())].into(),
        ..User::default()
    };
    Ok(UserRecord {
        user: Some(user),
        password_hash: hash_password(PASSWORD, entropy)?,
    })
}

fn resource() -> ResourceRecord {
    let accepted = APPLICATIONS
        .iter()
        .filter(|sample| sample.binding_type != BindingType::None);
    ResourceRecord {
        resource: Some(Resource {
            resource_id: RESOURCE.to_owned(),
            accepted_client_ids: accepted.map(|sample| sample.client_id.to_owned()).collect(),
            accepted_scopes: vec![READ.to_owned(), WRITE.to_owned()],
            ..Resource::default()
        }),
        secrets: vec![digest(RESOURCE)],
    }
}

fn digest(id: &str) -> SecretDigest {
    SecretDigest {
        sha256: SecretHash::of(&secret(id)).as_bytes().to_vec(),
        expires_at: 0,
    }
}

#[cfg(test)]
mod tests {
    use tokenbind_index::SystemEntropy;

    use super::*;

    #[test]
    fn the_samples_pass_the_checks_of_every_declaration() {
        catalog(&SystemEntropy).unwrap();
    }

    #[test]
    fn the_secrets_never_change() {
        // Documentation and scripts hold them.
        assert_eq!(secret("shop-jwt"), "tbs_ayqufX0BJ8V2UTBTdgynJCtiezP9Hjrn1F4IB0J7QEU");
    }
}
