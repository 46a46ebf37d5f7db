//! The file: `version`, `applications`, `users`, `resources`, `trusted_issuers`, `exchange_policies`.

use std::path::Path;

use prost_types::Timestamp;
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, SecretDigest, UserRecord};
use tokenbind_proto::v1::claim_mapping::Value as ClaimValue;
use tokenbind_proto::v1::{Application, ClaimMapping, RefreshTokenSettings, Resource, User};

use super::authentication::certificate_name;
use super::digest;
use super::errors::CatalogErrors;
use super::fields::Fields;
use super::parts::{Entry, Parts};
use super::words::{BINDING_LIMIT_POLICIES, BINDING_TYPES, GRANTS, TOKEN_FORMATS};
use super::yaml::{Node, Value, parse};
use super::{authentication, trust};

const VERSION: u64 = 1;
const MAX_ENTRIES: usize = 10_000;

/// Reads the file's text. What cannot be read is told in `errors` and left out.
pub(super) fn read(text: &str, folder: &Path, errors: &mut CatalogErrors) -> Parts {
    let root = match parse(text) {
        Ok(root) => root,
        Err(unreadable) => {
            *errors = unreadable;
            return Parts::default();
        }
    };
    let Some(mut root) = Fields::open(String::new(), root, errors) else {
        return Parts::default();
    };
    check_version(&mut root);
    let [applications, users, resources, issuers, policies] = [
        "applications",
        "users",
        "resources",
        "trusted_issuers",
        "exchange_policies",
    ]
    .map(|name| root.list(name));
    let count = applications.len() + users.len() + resources.len() + issuers.len() + policies.len();
    root.finish();
    if count > MAX_ENTRIES {
        errors.push(
            "",
            None,
            format!("must have at most {MAX_ENTRIES} entries, has {count}"),
        );
        return Parts::default();
    }
    Parts {
        trust: trust::read(issuers, policies, folder, errors),
        applications: entries("applications", applications, errors, application),
        users: entries("users", users, errors, user),
        resources: entries("resources", resources, errors, resource),
    }
}

fn check_version(root: &mut Fields<'_>) {
    let (line, version) = match root.take("version") {
        Some(Node {
            line,
            value: Value::Number(version),
        }) => (line, version),
        Some(Node { line, .. }) => (line, 0),
        None => (None, 0),
    };
    if version != VERSION {
        root.wrong("version", "", line, "must be set to 1, the version of the format");
    }
}

pub(super) fn entries<R>(
    name: &str,
    nodes: Vec<Node>,
    errors: &mut CatalogErrors,
    mut read: impl FnMut(&mut Fields<'_>) -> R,
) -> Vec<Entry<R>> {
    let mut found = Vec::new();
    for (index, node) in nodes.into_iter().enumerate() {
        let path = format!("{name}[{index}]");
        if let Some(mut fields) = Fields::open(path.clone(), node, errors) {
            let record = read(&mut fields);
            let places = fields.finish();
            found.push(Entry { path, record, places });
        }
    }
    found
}

fn application(fields: &mut Fields<'_>) -> ApplicationRecord {
    let application = Application {
        client_id: fields.text("client_id"),
        display_name: fields.text("display_name"),
        token_format: fields.word("token_format", &TOKEN_FORMATS),
        binding_type: fields.word("binding_type", &BINDING_TYPES),
        require_binding: fields.flag("require_binding"),
        enforce_binding: fields.flag("enforce_binding"),
        grants: fields.words("grants", &GRANTS),
        scopes: fields.texts("scopes"),
        default_scopes: fields.texts("default_scopes"),
        audiences: fields.texts("audiences"),
        default_audiences: fields.texts("default_audiences"),
        access_token_lifetime_seconds: fields.number("access_token_lifetime_seconds"),
        max_bindings_per_subject: fields.number("max_bindings_per_subject"),
        binding_limit_policy: fields.word("binding_limit_policy", &BINDING_LIMIT_POLICIES),
        claims: claims(fields),
        disabled: fields.flag("disabled"),
        source: 0,
        client_authentication: authentication::read(fields),
        refresh_tokens: refresh_tokens(fields),
    };
    ApplicationRecord {
        application: Some(application),
        secrets: secrets(fields),
    }
}

fn user(fields: &mut Fields<'_>) -> UserRecord {
    let user = User {
        username: fields.text("username"),
        attributes: fields.text_map("attributes"),
        scopes: fields.texts("scopes"),
        disabled: fields.flag("disabled"),
        source: 0,
    };
    UserRecord {
        user: Some(user),
        password_hash: fields.text("password_hash"),
    }
}

fn resource(fields: &mut Fields<'_>) -> ResourceRecord {
    let resource = Resource {
        resource_id: fields.text("resource_id"),
        audiences: fields.texts("audiences"),
        accepted_client_ids: fields.texts("accepted_client_ids"),
        accepted_scopes: fields.texts("accepted_scopes"),
        enforce_binding: fields.flag("enforce_binding"),
        accepted_binding_types: fields.words("accepted_binding_types", &BINDING_TYPES),
        allow_stale_seconds: fields.number("allow_stale_seconds"),
        caller_certificate: certificate_name(fields, "caller_certificate"),
        source: 0,
    };
    ResourceRecord {
        resource: Some(resource),
        secrets: secrets(fields),
    }
}

fn refresh_tokens(fields: &mut Fields<'_>) -> Option<RefreshTokenSettings> {
    let node = fields.take("refresh_tokens")?;
    fields.nested("refresh_tokens", |path, errors| {
        let mut fields = Fields::open(path, node, errors)?;
        let settings = RefreshTokenSettings {
            lifetime_seconds: fields.number("lifetime_seconds"),
            idle_lifetime_seconds: fields.number("idle_lifetime_seconds"),
            grace_seconds: fields.optional_number("grace_seconds"),
            grace_uses: fields.optional_number("grace_uses"),
        };
        fields.finish();
        Some(settings)
    })
}

fn claims(fields: &mut Fields<'_>) -> Vec<ClaimMapping> {
    let nodes = fields.list("claims");
    fields.nested("claims", |path, errors| {
        let claim = |(index, node)| claim(format!("{path}[{index}]"), node, errors);
        nodes.into_iter().enumerate().filter_map(claim).collect()
    })
}

fn claim(path: String, node: Node, errors: &mut CatalogErrors) -> Option<ClaimMapping> {
    let line = node.line;
    let mut fields = Fields::open(path.clone(), node, errors)?;
    let name = fields.text("name");
    let fixed = fields.take("static_value").map(|node| (node, "static_value"));
    let mapped = fields.take("user_attribute").map(|node| (node, "user_attribute"));
    let value = match (fixed, mapped) {
        (
            Some((
                Node {
                    value: Value::Text(text),
                    ..
                },
                _,
            )),
            None,
        ) => Some(ClaimValue::StaticValue(text)),
        (
            None,
            Some((
                Node {
                    value: Value::Text(text),
                    ..
                },
                _,
            )),
        ) => Some(ClaimValue::UserAttribute(text)),
        (Some((node, name)), None) | (None, Some((node, name))) => {
            fields.wrong(name, "", node.line, "must be text: put it in quotes");
            None
        }
        (None, None) | (Some(_), Some(_)) => {
            fields.finish();
            errors.push(path, line, "must have either `static_value` or `user_attribute`");
            return None;
        }
    };
    fields.finish();
    Some(ClaimMapping {
        name,
        value: Some(value?),
    })
}

fn secrets(fields: &mut Fields<'_>) -> Vec<SecretDigest> {
    let nodes = fields.list("secret_sha256");
    fields.nested("secret_sha256", |path, errors| {
        let secret = |(index, node)| secret(format!("{path}[{index}]"), node, errors);
        nodes.into_iter().enumerate().filter_map(secret).collect()
    })
}

fn secret(path: String, node: Node, errors: &mut CatalogErrors) -> Option<SecretDigest> {
    let line = node.line;
    let (text, expires_at) = match node {
        Node {
            value: Value::Text(text),
            ..
        } => (text, 0),
        Node {
            value: Value::Map(_), ..
        } => {
            let mut fields = Fields::open(path.clone(), node, errors)?;
            let text = fields.text("sha256");
            let expires_at = expires_at(&mut fields);
            let places = fields.finish();
            if !places.wrong.is_empty() {
                return None;
            }
            (text, expires_at)
        }
        _ => {
            errors.push(
                path,
                line,
                "must be a digest, or a mapping of `sha256` and `expires_at`",
            );
            return None;
        }
    };
    match digest::parse(&text) {
        Ok(sha256) => Some(SecretDigest {
            sha256: sha256.to_vec(),
            expires_at,
        }),
        Err(problem) => {
            errors.push(path, line, problem);
            None
        }
    }
}

/// The second at which a secret ends; 0 where it does not.
fn expires_at(fields: &mut Fields<'_>) -> i64 {
    let Some(node) = fields.take("expires_at") else {
        return 0;
    };
    if let Value::Text(text) = &node.value
        && let Ok(end) = text.parse::<Timestamp>()
        && end.seconds > 0
    {
        return end.seconds;
    }
    fields.wrong(
        "expires_at",
        "",
        node.line,
        "must be a time after 1970 as RFC 3339 writes it: 2027-01-31T00:00:00Z",
    );
    0
}
