//! Resources.

use tokenbind_index::{Delete, DocumentKind, Expect, GeneratedSecret};
use tokenbind_proto::index::v1::ResourceRecord;
use tokenbind_proto::v1::{Resource, Source};

use super::mask::{self, Field};
use super::{Administration, Page, PageRequest, check_id, present};
use crate::declared::{check_resource, documents, resource_id_problem};
use crate::error::IssuerError;

const NAME: &str = "resource";

/// What an update may change.
pub(super) const FIELDS: [Field<Resource>; 7] = mask::fields![
    audiences,
    accepted_client_ids,
    accepted_scopes,
    enforce_binding,
    accepted_binding_types,
    allow_stale_seconds,
    caller_certificate,
];

impl Administration {
    /// Makes a resource and the secret with which it calls the validator, which is shown this once.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::AlreadyExists`], or that of the store.
    pub async fn create_resource(
        &self,
        resource: Option<Resource>,
    ) -> Result<(Resource, GeneratedSecret), IssuerError> {
        let mut resource = present(resource, NAME)?;
        check_resource(&resource).under(NAME).finish()?;
        resource.set_source(Source::Api);
        let (secret, digest) = self.new_secret();
        let record = ResourceRecord {
            resource: Some(resource.clone()),
            secrets: vec![digest],
        };
        let stored = documents::put(self.store.as_ref(), &resource.resource_id, &record, Expect::Absent).await?;
        stored.ok_or(IssuerError::AlreadyExists(NAME))?;
        Ok((resource, secret))
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::NotFound`], or that of the store.
    pub async fn get_resource(&self, resource_id: &str) -> Result<Resource, IssuerError> {
        check_id("resource_id", resource_id_problem(resource_id))?;
        let stored = documents::get::<ResourceRecord>(self.store.as_ref(), resource_id).await?;
        stored.record.resource.ok_or(IssuerError::NotFound(NAME))
    }

    /// Reads a page of the resources.
    pub async fn list_resources(&self, page: &PageRequest) -> Result<Page<Resource>, IssuerError> {
        let page = page.read::<ResourceRecord>(self.store.as_ref()).await?;
        Ok(page.filter_map(|record| record.resource))
    }

    /// Changes the fields of a resource that `paths` names.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], also for a change that contradicts what stays; [`IssuerError::NotFound`],
    /// [`IssuerError::DeclaredInCatalog`], [`IssuerError::Conflict`], or that of the store.
    pub async fn update_resource(&self, wanted: Option<Resource>, paths: &[String]) -> Result<Resource, IssuerError> {
        let wanted = present(wanted, NAME)?;
        check_id("resource.resource_id", resource_id_problem(&wanted.resource_id))?;
        let stored = documents::get_own::<ResourceRecord>(self.store.as_ref(), &wanted.resource_id).await?;
        let mut resource = stored.record.resource.ok_or(IssuerError::NotFound(NAME))?;
        mask::apply(&FIELDS, paths, &mut resource, &wanted)?;
        check_resource(&resource).under(NAME).finish()?;
        let record = ResourceRecord {
            resource: Some(resource.clone()),
            secrets: stored.record.secrets,
        };
        let expect = Expect::Version(stored.version);
        let version = documents::put(self.store.as_ref(), &resource.resource_id, &record, expect).await?;
        version.ok_or(IssuerError::Conflict(NAME))?;
        Ok(resource)
    }

    /// Deletes a resource.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::NotFound`], [`IssuerError::DeclaredInCatalog`], [`IssuerError::Conflict`], or
    /// that of the store.
    pub async fn delete_resource(&self, resource_id: &str) -> Result<(), IssuerError> {
        check_id("resource_id", resource_id_problem(resource_id))?;
        let stored = documents::get_own::<ResourceRecord>(self.store.as_ref(), resource_id).await?;
        let expect = Expect::Version(stored.version);
        match self
            .store
            .delete_document(DocumentKind::Resource, resource_id, expect, 0)
            .await?
        {
            Delete::Deleted => Ok(()),
            Delete::Absent => Err(IssuerError::NotFound(NAME)),
            Delete::Conflict => Err(IssuerError::Conflict(NAME)),
        }
    }
}
