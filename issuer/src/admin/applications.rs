//! Applications.

use tokenbind_index::{Delete, DocumentKind, Expect, GeneratedSecret};
use tokenbind_proto::index::v1::ApplicationRecord;
use tokenbind_proto::v1::{Application, Source};

use super::mask::{self, Field};
use super::{Administration, Page, PageRequest, check_id, present};
use crate::application::OUTLIVES_TOKENS_SECONDS;
use crate::declared::{check_application, client_id_problem, documents, normalize_application, uses_secret};
use crate::error::IssuerError;

const NAME: &str = "application";

/// What an update may change.
pub(super) const FIELDS: [Field<Application>; 21] = mask::fields![
    display_name,
    token_format,
    binding_type,
    require_binding,
    enforce_binding,
    grants,
    scopes,
    default_scopes,
    audiences,
    default_audiences,
    access_token_lifetime_seconds,
    max_bindings_per_subject,
    binding_limit_policy,
    claims,
    disabled,
    client_authentication,
    refresh_tokens;
    refresh_tokens { lifetime_seconds, idle_lifetime_seconds, grace_seconds, grace_uses };
];

impl Administration {
    /// Makes an application and its secret, which is shown this once; one that has no use for a secret gets none.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::AlreadyExists`], or that of the store.
    pub async fn create_application(
        &self,
        application: Option<Application>,
    ) -> Result<(Application, Option<GeneratedSecret>), IssuerError> {
        let mut application = present(application, NAME)?;
        check_application(&application).under(NAME).finish()?;
        normalize_application(&mut application);
        application.set_source(Source::Api);
        let (secret, secrets) = if uses_secret(&application) {
            let (secret, digest) = self.new_secret();
            (Some(secret), vec![digest])
        } else {
            (None, Vec::new())
        };
        let record = ApplicationRecord {
            application: Some(application.clone()),
            secrets,
        };
        let stored = documents::put(self.store.as_ref(), &application.client_id, &record, Expect::Absent).await?;
        stored.ok_or(IssuerError::AlreadyExists(NAME))?;
        Ok((application, secret))
    }

    /// Reads an application.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::NotFound`], or that of the store.
    pub async fn get_application(&self, client_id: &str) -> Result<Application, IssuerError> {
        check_id("client_id", client_id_problem(client_id))?;
        let stored = documents::get::<ApplicationRecord>(self.store.as_ref(), client_id).await?;
        stored.record.application.ok_or(IssuerError::NotFound(NAME))
    }

    /// Reads a page of the applications.
    pub async fn list_applications(&self, page: &PageRequest) -> Result<Page<Application>, IssuerError> {
        let page = page.read::<ApplicationRecord>(self.store.as_ref()).await?;
        Ok(page.filter_map(|record| record.application))
    }

    /// Changes the fields of an application that `paths` names. Tokens that are live stay as they are (S17), but a disabled
    /// application's are refused.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], also for a change that contradicts what stays; [`IssuerError::NotFound`],
    /// [`IssuerError::DeclaredInCatalog`], [`IssuerError::Conflict`], or that of the store.
    pub async fn update_application(
        &self,
        wanted: Option<Application>,
        paths: &[String],
    ) -> Result<Application, IssuerError> {
        let wanted = present(wanted, NAME)?;
        check_id("application.client_id", client_id_problem(&wanted.client_id))?;
        let stored = documents::get_own::<ApplicationRecord>(self.store.as_ref(), &wanted.client_id).await?;
        let mut application = stored.record.application.ok_or(IssuerError::NotFound(NAME))?;
        mask::apply(&FIELDS, paths, &mut application, &wanted)?;
        check_application(&application).under(NAME).finish()?;
        normalize_application(&mut application);
        let record = ApplicationRecord {
            application: Some(application.clone()),
            secrets: stored.record.secrets,
        };
        let expect = Expect::Version(stored.version);
        let version = documents::put(self.store.as_ref(), &application.client_id, &record, expect).await?;
        version.ok_or(IssuerError::Conflict(NAME))?;
        self.applications.forget(&application.client_id);
        Ok(application)
    }

    /// Deletes an application. Its tokens die with it, also if one of that name is made again (R4).
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::NotFound`], [`IssuerError::DeclaredInCatalog`], [`IssuerError::Conflict`], or
    /// that of the store.
    pub async fn delete_application(&self, client_id: &str) -> Result<(), IssuerError> {
        check_id("client_id", client_id_problem(client_id))?;
        let stored = documents::get_own::<ApplicationRecord>(self.store.as_ref(), client_id).await?;
        let expect = Expect::Version(stored.version);
        let remember_ms = u64::from(OUTLIVES_TOKENS_SECONDS) * 1_000;
        match self
            .store
            .delete_document(DocumentKind::Application, client_id, expect, remember_ms)
            .await?
        {
            Delete::Deleted => {
                self.applications.forget(client_id);
                Ok(())
            }
            Delete::Absent => Err(IssuerError::NotFound(NAME)),
            Delete::Conflict => Err(IssuerError::Conflict(NAME)),
        }
    }
}
