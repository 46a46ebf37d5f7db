//! May this request use this token? A pure function of facts, resource and question: the rules V3 to V9.

use tokenbind_index::Namespace;
use tokenbind_proto::v1::Reason;

use crate::facts::{Facts, TokenBinding, TokenFacts};
use crate::question::Question;

/// Judges a live token. The tenant is the namespace that its binding ref was made in.
///
/// The order is part of the contract, because a caller sees the first reason alone: whom the token is for, to whom it was
/// issued, how it is bound, what it is good for.
pub fn judge(facts: &Facts, question: &Question<'_>, tenant: &Namespace) -> Reason {
    let token: &TokenFacts = &facts.token;
    let enforced = facts.application.is_some_and(|application| application.enforce_binding);
    audience(token, question)
        .and_then(|()| client(token, question))
        .and_then(|()| proof(token, question))
        .and_then(|()| binding(token, question, enforced, tenant))
        .and_then(|()| scopes(token, question))
        .err()
        .unwrap_or(Reason::Valid)
}

/// V5.
fn audience(token: &TokenFacts, question: &Question<'_>) -> Result<(), Reason> {
    hold(
        question.resource.is_among(&token.grant.audiences),
        Reason::AudienceMismatch,
    )
}

/// V4, V3.
fn client(token: &TokenFacts, question: &Question<'_>) -> Result<(), Reason> {
    let client_id = token.grant.client_id.as_str();
    hold(!client_id.is_empty(), Reason::ClientMissing)?;
    let presented = question
        .presenter
        .client_id
        .is_none_or(|presenter| presenter == client_id);
    let expected = question.expected_client_ids;
    let expected = expected.is_empty() || expected.iter().any(|expected| expected == client_id);
    hold(presented && expected, Reason::ClientMismatch)?;
    hold(question.resource.accepts_client(client_id), Reason::ClientNotAccepted)
}

/// V8.
fn proof(token: &TokenFacts, question: &Question<'_>) -> Result<(), Reason> {
    match (&token.binding, &question.presenter.certificate_sha256) {
        (TokenBinding::None | TokenBinding::ClientRequest(_), _) => Ok(()),
        (TokenBinding::Certificate { .. }, None) => Err(Reason::ProofMissing),
        (TokenBinding::Certificate { sha256, .. }, Some(presented)) => hold(presented == sha256, Reason::ProofInvalid),
        (TokenBinding::Unprovable(_), _) => Err(Reason::ProofInvalid),
    }
}

/// V7 and the kinds of binding that the resource accepts (V14).
fn binding(token: &TokenFacts, question: &Question<'_>, enforced: bool, tenant: &Namespace) -> Result<(), Reason> {
    if let TokenBinding::ClientRequest(reference) = &token.binding {
        match &question.presenter.binding {
            Some(presented) => {
                let same = presented.reference(tenant, &token.grant.client_id) == *reference;
                hold(same, Reason::BindingMismatch)?;
            }
            None => hold(
                !enforced && !question.resource.enforces_binding(),
                Reason::BindingMissing,
            )?,
        }
    }
    let accepted = question.resource.accepts_binding_type(token.binding.binding_type());
    hold(accepted, Reason::BindingTypeNotAccepted)
}

/// V6.
fn scopes(token: &TokenFacts, question: &Question<'_>) -> Result<(), Reason> {
    let granted = |scope: &String| token.grant.scopes.contains(scope);
    let accepted = question.resource.accepted_scopes();
    let enough = question.required_scopes.iter().all(granted) && (accepted.is_empty() || accepted.iter().any(granted));
    hold(enough, Reason::ScopeInsufficient)
}

fn hold(condition: bool, otherwise: Reason) -> Result<(), Reason> {
    if condition { Ok(()) } else { Err(otherwise) }
}
