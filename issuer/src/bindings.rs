//! Lists and revokes what a subject holds.

use std::collections::HashMap;
use std::sync::Arc;

use tokenbind_index::{
    ApplicationTag, BindingId, BindingValue, Cursor, DocumentKind, Generation, Page, Revision, Revoked, Selection,
    Subject,
};
use tokenbind_proto::index::v1::TokenRecord;

use crate::admin_access::Administrator;
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::telemetry::RevokedEvent;

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

/// A part of a subject's live tokens.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Their records, those that end first first. May be fewer than asked although more follow.
    pub records: Vec<TokenRecord>,
    /// Where to go on.
    pub next: Option<Cursor>,
}

impl Issuer {
    /// R8: a subject's live tokens, at most `limit` of them.
    pub async fn list_bindings(
        &self,
        caller: &Caller,
        subject: &Subject,
        client_id: Option<&str>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Listed, IssuerError> {
        let only = caller.narrow(client_id)?;
        let Page { tokens, next } = self.store.list(subject.home(), after, limit).await?;
        let mut generations = HashMap::new();
        let mut records = Vec::with_capacity(tokens.len());
        for token in tokens {
            let record = token.record;
            let shown = only.is_none_or(|only| only == record.client_id);
            if shown && self.generation(&mut generations, &record.client_id).await? == Some(record.generation) {
                records.push(record);
            }
        }
        Ok(Listed { records, next })
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
        let revoked = self.store.revoke_subject(subject.home(), selection).await?;
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
        let revoked = self.store.revoke_subject(subject.home(), selection).await?;
        record("subject", caller, only, subject, revoked);
        Ok(revoked)
    }

    /// R4: every token that was ever issued to the application, without a look at any of them.
    pub async fn revoke_application(&self, caller: &Caller, client_id: &str) -> Result<Revision, IssuerError> {
        caller.narrow(Some(client_id))?;
        let raised = self
            .store
            .raise_generation(DocumentKind::Application, client_id)
            .await?;
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
