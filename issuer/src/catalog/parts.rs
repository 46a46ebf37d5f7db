//! What a catalog is made of, before it is known to be good.

use std::collections::{BTreeMap, HashMap};

use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, SecretDigest, UserRecord};

use super::Catalog;
use super::errors::CatalogErrors;
use super::fields::Places;
use crate::declared::{
    MAX_SECRETS, check_application, check_password_hash, check_resource, check_user, normalize_application, uses_secret,
};
use crate::error::FieldViolations;
use crate::trust::TrustDeclaration;

/// An entry, where it stands, and which of its fields were told to be wrong already.
#[derive(Debug)]
pub(super) struct Entry<R> {
    pub(super) path: String,
    pub(super) record: R,
    pub(super) places: Places,
}

/// All entries.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) applications: Vec<Entry<ApplicationRecord>>,
    pub(super) users: Vec<Entry<UserRecord>>,
    pub(super) resources: Vec<Entry<ResourceRecord>>,
    pub(super) trust: TrustDeclaration,
}

impl Parts {
    /// Checks everything and joins it by id.
    pub(super) fn check(self, mut errors: CatalogErrors) -> Result<Catalog, CatalogErrors> {
        check_workloads(&self.applications, &self.trust, &mut errors);
        let catalog = Catalog {
            trust: self.trust,
            applications: index(self.applications, "client_id", application, &mut errors),
            users: index(self.users, "username", user, &mut errors),
            resources: index(self.resources, "resource_id", resource, &mut errors),
        };
        errors.or(catalog)
    }
}

/// An application whose workload nobody vouches for could never authenticate.
fn check_workloads(applications: &[Entry<ApplicationRecord>], trust: &TrustDeclaration, errors: &mut CatalogErrors) {
    for entry in applications {
        let declared = entry.record.application.as_ref();
        let workload = declared.and_then(|it| it.client_authentication.as_ref()?.workload.as_ref());
        let known = |name: &str| trust.issuers.iter().any(|issuer| issuer.name == name);
        if workload.is_some_and(|workload| !known(&workload.trusted_issuer)) {
            let path = format!("{}.client_authentication.workload.trusted_issuer", entry.path);
            errors.push(path, entry.places.line, "is not the name of a trusted issuer");
        }
    }
}

/// Entries of records that did not come from a file.
pub(super) fn entries<R>(name: &str, records: Vec<R>) -> Vec<Entry<R>> {
    let entry = |(index, record)| Entry {
        path: format!("{name}[{index}]"),
        record,
        places: Places::default(),
    };
    records.into_iter().enumerate().map(entry).collect()
}

/// Checks each entry; the check answers the id beside the violations.
fn index<R>(
    entries: Vec<Entry<R>>,
    id_field: &str,
    check: fn(&mut R) -> (String, FieldViolations),
    errors: &mut CatalogErrors,
) -> BTreeMap<String, R> {
    let mut first_at: HashMap<String, String> = HashMap::new();
    let mut records = BTreeMap::new();
    for mut entry in entries {
        let (id, violations) = check(&mut entry.record);
        tell(&entry.path, &entry.places, &violations, errors);
        if let Some(first) = first_at.get(&id).filter(|_| !id.is_empty()) {
            let line = entry.places.lines.get(id_field).copied();
            errors.push(
                format!("{}.{id_field}", entry.path),
                line,
                format!("is declared already, at {first}"),
            );
            continue;
        }
        first_at.insert(id.clone(), entry.path);
        records.insert(id, entry.record);
    }
    records
}

fn tell(path: &str, places: &Places, violations: &FieldViolations, errors: &mut CatalogErrors) {
    for violation in violations.as_slice() {
        let field = violation.field.split(['[', '.']).next().unwrap_or_default();
        // A field that could not be read looks as if it were missing.
        if !places.wrong.contains(field) {
            let line = places.lines.get(field).copied().or(places.line);
            errors.push(
                format!("{path}.{}", violation.field),
                line,
                violation.description.clone(),
            );
        }
    }
}

fn application(record: &mut ApplicationRecord) -> (String, FieldViolations) {
    let application = record.application.get_or_insert_default();
    let mut violations = check_application(application);
    normalize_application(application);
    let (by_secret, has_secret) = (uses_secret(application), !record.secrets.is_empty());
    violations.require(
        has_secret || !by_secret,
        "secret_sha256",
        "must have at least one digest: without a secret the application could not prove who it is",
    );
    violations.require(
        by_secret || !has_secret,
        "secret_sha256",
        "would do nothing: `client_authentication` does not have the method secret",
    );
    check_secrets(&record.secrets, &mut violations);
    (application.client_id.clone(), violations)
}

fn user(record: &mut UserRecord) -> (String, FieldViolations) {
    let user = record.user.get_or_insert_default();
    let mut violations = check_user(user);
    violations.problem("password_hash", check_password_hash(&record.password_hash));
    (user.username.clone(), violations)
}

fn resource(record: &mut ResourceRecord) -> (String, FieldViolations) {
    let resource = record.resource.get_or_insert_default();
    let mut violations = check_resource(resource);
    check_secrets(&record.secrets, &mut violations);
    (resource.resource_id.clone(), violations)
}

fn check_secrets(secrets: &[SecretDigest], violations: &mut FieldViolations) {
    let few = secrets.len() <= MAX_SECRETS;
    violations.require(few, "secret_sha256", "must have at most 5 members");
    for (index, secret) in secrets.iter().enumerate().take(MAX_SECRETS) {
        let field = format!("secret_sha256[{index}]");
        violations.require(secret.sha256.len() == 32, &field, "must be 32 bytes");
        let again = secrets[..index].iter().any(|earlier| earlier.sha256 == secret.sha256);
        violations.require(!again, &field, "is there already");
    }
}
