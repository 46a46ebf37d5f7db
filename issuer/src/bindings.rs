//! Lists and revokes what a subject holds.

use std::collections::HashMap;
use std::sync::Arc;

use tokenbind_index::{
    ApplicationTag, BindingId, BindingValue, Cursor, DocumentKind, Generation, ListedFamily, Page, Revision, Revoked,
    Selection, Subject,
};
use tokenbind_proto::index::v1::TokenRecord;

use crate::admin_access::Administrator;
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::telemetry::{self, RevokedEvent};

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Sees and revokes everything.
    Administrator(Administrator),
    /// Sees and revokes what was issued to itself.
    Application(Arc<Application>),
}

impl Caller {
    /// The name for the trail.
    fn name(&self) -> &str {
        match self {
            Self::Administrator(administrator) => &administrator.client_id,
            Self::Application(application) => &application.client_id,
        }
    }

    /// The application that a call is about; `None`: every one that there is.
    fn narrow<'a>(&'a self, client_id: Option<&'a str>) -> Result<Option<&'a str>, IssuerError> {
        match (self, client_id) {
            (Self::Administrator(_), asked) => Ok(asked),
            (Self::Application(own), asked) if asked.is_none_or(|asked| asked == own.client_id) => {
                Ok(Some(&own.client_id))
            }
            (Self::Application(_), _) => Err(IssuerError::UnauthorizedClient(
                "an application sees and revokes only what was issued to itself",
            )),
        }
    }
}

/// Something of a subject that lives.
#[derive(Clone, Debug)]
pub enum Live {
    /// An access token.
    Token(TokenRecord),
    /// A login that goes on.
    Family(ListedFamily),
}

impl Live {
    fn of(&self) -> (&str, Generation) {
        match self {
            Self::Token(record) => (&record.client_id, record.generation),
            Self::Family(ListedFamily { record, .. }) => (&record.client_id, record.generation),
        }
    }

    /// When it ends, in milliseconds since 1970.
    pub fn ends_ms(&self) -> u64 {
        match self {
            Self::Token(record) => record.revision / 1_000 + u64::from(record.lifetime_ms),
            Self::Family(family) => family.expires_ms,
        }
    }
}

/// A part of what a subject has.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What lives, those that end first first; between pages, but for a sixteenth of a lifetime. May be fewer than asked although
    /// more follow.
    pub live: Vec<Live>,
    /// Where to go on.
    pub next: Option<Cursor>,
}

impl Issuer {
    /// R8: a subject's live tokens and logins, at most `limit` of them.
    pub async fn list_bindings(
        &self,
        caller: &Caller,
        subject: &Subject,
        client_id: Option<&str>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Listed, IssuerError> {
        let only = caller.narrow(client_id)?;
        let Page { tokens, families, next } = self.store.list(subject.home(), after, limit).await?;
        let tokens = tokens.into_iter().map(|token| Live::Token(token.record));
        let mut generations = HashMap::new();
        let mut live = Vec::new();
        for found in tokens.chain(families.into_iter().map(Live::Family)) {
            let (client_id, generation) = found.of();
            let shown = only.is_none_or(|only| only == client_id);
            if shown && self.generation(&mut generations, client_id).await? == Some(generation) {
                live.push(found);
            }
        }
        live.sort_by_key(Live::ends_ms);
        Ok(Listed { live, next })
    }

    /// The generation in which an application's tokens are live; `None` for one that is gone.
    async fn generation(
        &self,
        known: &mut HashMap<String, Option<Generation>>,
        client_id: &str,
    ) -> Result<Option<Generation>, IssuerError> {
        if let Some(generation) = known.get(client_id) {
            return Ok(*generation);
        }
        let document = self.store.document(DocumentKind::Application, client_id).await?;
        let generation = document.map(|document| document.generation);
        known.insert(client_id.to_owned(), generation);
        Ok(generation)
    }

    /// R2: every token of the subject under one `token_binding_id`, in all its slots: a device is lost.
    pub async fn revoke_binding(
        &self,
        caller: &Caller,
        subject: &Subject,
        client_id: Option<&str>,
        binding_id: BindingId,
    ) -> Result<Revoked, IssuerError> {
        let tag = BindingValue::ClientRequest(binding_id).tag(&subject.home());
        let only = caller.narrow(client_id)?;
        let selection = Selection {
            application: only.map(ApplicationTag::of),
            binding: Some(tag),
        };
        let revoked = self
            .store
            .revoke_subject(subject.home(), selection)
            .await
            .map_err(telemetry::not_revoked)?;
        record("binding", caller, only, subject, revoked);
        Ok(revoked)
    }

    /// R3: every token of the subject, everywhere or within one application.
    pub async fn revoke_subject(
        &self,
        caller: &Caller,
        subject: &Subject,
        client_id: Option<&str>,
    ) -> Result<Revoked, IssuerError> {
        let only = caller.narrow(client_id)?;
        let selection = Selection {
            application: only.map(ApplicationTag::of),
            binding: None,
        };
        let revoked = self
            .store
            .revoke_subject(subject.home(), selection)
            .await
            .map_err(telemetry::not_revoked)?;
        record("subject", caller, only, subject, revoked);
        Ok(revoked)
    }

    /// R4: every token that was ever issued to the application, without a look at any of them.
    pub async fn revoke_application(&self, caller: &Caller, client_id: &str) -> Result<Revision, IssuerError> {
        caller.narrow(Some(client_id))?;
        let raised = self
            .store
            .raise_generation(DocumentKind::Application, client_id)
            .await
            .map_err(telemetry::not_revoked)?;
        self.applications.forget(client_id);
        let (_, revision) = raised.ok_or(IssuerError::NotFound("application"))?;
        let event = RevokedEvent {
            by: "application",
            caller: caller.name(),
            client_id: Some(client_id),
            subject: None,
            count: None,
            revision,
        };
        event.record();
        Ok(revision)
    }
}

fn record(by: &'static str, caller: &Caller, client_id: Option<&str>, subject: &Subject, revoked: Revoked) {
    let event = RevokedEvent {
        by,
        caller: caller.name(),
        client_id,
        subject: Some(&subject.claim()),
        count: Some(revoked.count),
        revision: revoked.revision,
    };
    event.record();
}
