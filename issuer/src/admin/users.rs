//! Users of the built-in directory.

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::{Delete, DocumentKind, Expect};
use tokenbind_proto::index::v1::UserRecord;
use tokenbind_proto::v1::{Source, User};

use super::mask::{self, Field};
use super::{Administration, Page, PageRequest, check_id, present};
use crate::declared::suspension::{revoke_tokens, suspend};
use crate::declared::{check_password, check_user, documents, username_problem};
use crate::error::IssuerError;

const NAME: &str = "user";
const PASSWORD: &str = "password";

/// What an update may change.
const FIELDS: [Field<User>; 4] = [
    ("attributes", |it, wanted| it.attributes.clone_from(&wanted.attributes)),
    ("scopes", |it, wanted| it.scopes.clone_from(&wanted.scopes)),
    ("disabled", |it, wanted| it.disabled = wanted.disabled),
    // Not part of the message: it is hashed by itself.
    (PASSWORD, |_, _| {}),
];

impl Administration {
    /// Makes a user.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::AlreadyExists`], [`IssuerError::Overloaded`], or that of the store.
    pub async fn create_user(&self, user: Option<User>, password: SecretString) -> Result<User, IssuerError> {
        let mut user = present(user, NAME)?;
        let mut violations = check_user(&user).under(NAME);
        violations.problem(PASSWORD, check_password(password.expose_secret()));
        violations.finish()?;
        user.set_source(Source::Api);
        let password_hash = self.hash(password).await?;
        let record = UserRecord {
            user: Some(user.clone()),
            password_hash,
        };
        let stored = documents::put(self.store.as_ref(), &user.username, &record, Expect::Absent).await?;
        stored.ok_or(IssuerError::AlreadyExists(NAME))?;
        Ok(user)
    }

    /// Reads a user.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::NotFound`], or that of the store.
    pub async fn get_user(&self, username: &str) -> Result<User, IssuerError> {
        check_id("username", username_problem(username))?;
        let stored = documents::get::<UserRecord>(self.store.as_ref(), username).await?;
        stored.record.user.ok_or(IssuerError::NotFound(NAME))
    }

    /// Reads a page of the users.
    pub async fn list_users(&self, page: &PageRequest) -> Result<Page<User>, IssuerError> {
        let page = page.read::<UserRecord>(self.store.as_ref()).await?;
        Ok(page.filter_map(|record| record.user))
    }

    /// Changes the fields of a user that `paths` names. A new password, and being disabled, also revoke the user's tokens.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::NotFound`], [`IssuerError::DeclaredInCatalog`], [`IssuerError::Conflict`],
    /// [`IssuerError::Overloaded`], or that of the store: then the user may be changed and tokens may be live yet; the same
    /// call again finishes it.
    pub async fn update_user(
        &self,
        wanted: Option<User>,
        paths: &[String],
        password: SecretString,
    ) -> Result<User, IssuerError> {
        let wanted = present(wanted, NAME)?;
        check_id("user.username", username_problem(&wanted.username))?;
        let stored = documents::get_own::<UserRecord>(self.store.as_ref(), &wanted.username).await?;
        let mut user = stored.record.user.ok_or(IssuerError::NotFound(NAME))?;
        mask::apply(&FIELDS, paths, &mut user, &wanted)?;
        let new_password = paths.iter().any(|path| path == PASSWORD);
        let mut violations = check_user(&user).under(NAME);
        if new_password {
            violations.problem(PASSWORD, check_password(password.expose_secret()));
        } else if stored.record.password_hash.is_empty() {
            let needed = "must be set anew: the user was being deleted and has none any more";
            violations.require(user.disabled, PASSWORD, needed);
        }
        violations.finish()?;

        let password_hash = if new_password {
            self.hash(password).await?
        } else {
            stored.record.password_hash
        };
        let record = UserRecord {
            user: Some(user.clone()),
            password_hash,
        };
        let expect = Expect::Version(stored.version);
        let version = documents::put(self.store.as_ref(), &user.username, &record, expect).await?;
        version.ok_or(IssuerError::Conflict(NAME))?;
        // After the write, so that no token can be had any more in the old way. Also where the user was disabled before: a
        // caller whose first attempt failed here comes again.
        if new_password || (user.disabled && paths.iter().any(|path| path == "disabled")) {
            revoke_tokens(self.store.as_ref(), &user.username).await?;
        }
        Ok(user)
    }

    /// Deletes a user and revokes the user's tokens.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::NotFound`], [`IssuerError::DeclaredInCatalog`], [`IssuerError::Conflict`], or
    /// that of the store: then the user may be disabled already; the same call again finishes it.
    pub async fn delete_user(&self, username: &str) -> Result<(), IssuerError> {
        check_id("username", username_problem(username))?;
        let stored = documents::get_own::<UserRecord>(self.store.as_ref(), username).await?;
        let version = suspend(self.store.as_ref(), username, stored).await?;
        match self
            .store
            .delete_document(DocumentKind::User, username, Expect::Version(version), 0)
            .await?
        {
            Delete::Deleted | Delete::Absent => Ok(()),
            Delete::Conflict => Err(IssuerError::Conflict(NAME)),
        }
    }

    async fn hash(&self, password: SecretString) -> Result<String, IssuerError> {
        self.passwords
            .hash(password, std::sync::Arc::clone(&self.entropy))
            .await
    }
}
