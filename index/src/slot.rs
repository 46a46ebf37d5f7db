//! What makes two tokens share a slot.

use std::collections::BTreeSet;

use tokenbind_proto::v1::TokenFormat;

use crate::binding::BindingRef;
use crate::digest::FieldDigest;
use crate::locator::Slot;
use crate::subject::Subject;

/// Everything in a slot's definition. Two tokens share a slot exactly when all of it is equal.
#[derive(Clone, Debug)]
pub struct SlotDefinition<'a> {
    /// To whom the token is issued.
    pub client_id: &'a str,
    /// Who it speaks for.
    pub subject: &'a Subject,
    /// What is granted, not what was asked (S10).
    pub scopes: &'a BTreeSet<String>,
    /// What is granted, not what was asked.
    pub audiences: &'a BTreeSet<String>,
    /// What it looks like.
    pub format: TokenFormat,
    /// Who acts for the subject (RFC 8693), if anybody.
    pub actor: Option<&'a str>,
    /// What it is bound to, if anything.
    pub binding: Option<BindingRef>,
}

impl SlotDefinition<'_> {
    /// The slot.
    pub fn slot(&self) -> Slot {
        let subject_kind = match self.subject {
            Subject::User(_) => "user",
            Subject::Application(_) => "application",
            Subject::External(_) => "external",
        };
        let binding = self.binding.map(|reference| reference.0);
        let digest = FieldDigest::new("tokenbind slot 1")
            .field(self.client_id.as_bytes())
            .field(subject_kind.as_bytes())
            .field(self.subject.claim().as_bytes())
            .list(self.scopes.iter().map(String::as_str))
            .list(self.audiences.iter().map(String::as_str))
            .field(self.format.as_str_name().as_bytes())
            .list(self.actor.into_iter())
            .field(binding.as_ref().map_or(&[], |reference| reference.as_slice()));
        Slot(digest.truncated())
    }
}
