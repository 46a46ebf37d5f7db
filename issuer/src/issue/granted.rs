//! Decides what is granted: scopes, audiences and binding.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tokenbind_index::{BindingValue, Home, Slot, SlotDefinition, Subject};
use tokenbind_proto::v1::BindingType;

use super::IssueRequest;
use crate::application::Application;
use crate::claims::{self, Bound};
use crate::context::Issuer;
use crate::error::{FieldViolations, IssuerError};
use crate::grant::Authorization;

/// What a token will be.
pub(super) struct Token {
    pub(super) subject: Subject,
    pub(super) scopes: BTreeSet<String>,
    pub(super) audiences: BTreeSet<String>,
    pub(super) bound: Option<Bound>,
    pub(super) mapped: Map<String, Value>,
    pub(super) home: Home,
    pub(super) slot: Slot,
}

pub(super) fn decide(
    issuer: &Issuer,
    application: &Application,
    authorization: &Authorization,
    request: &IssueRequest,
) -> Result<Token, IssuerError> {
    let scopes = scopes(application, authorization, &request.scopes)?;
    let audiences = audiences(application, &request.audiences)?;
    let bound = binding(application, request)?.map(|value| Bound {
        reference: value.reference(&issuer.namespace, &application.client_id),
        value,
    });
    let subject = authorization.subject.clone();
    let slot = SlotDefinition {
        client_id: &application.client_id,
        subject: &subject,
        scopes: &scopes,
        audiences: &audiences,
        format: application.format,
        actor: None,
        binding: bound.as_ref().map(|bound| bound.reference),
    }
    .slot();
    let mapped = claims::mapped(&application.claims, &authorization.attributes);
    Ok(Token {
        home: subject.home(),
        subject,
        scopes,
        audiences,
        bound,
        mapped,
        slot,
    })
}

/// S10: sets. Each scope asked must be the application's; what the grant does not allow falls away, unless nothing is left.
fn scopes(
    application: &Application,
    authorization: &Authorization,
    asked: &[String],
) -> Result<BTreeSet<String>, IssuerError> {
    let wanted = among(asked, &application.scopes, &application.default_scopes, "scopes")?;
    let Some(allowed) = &authorization.scopes else {
        return Ok(wanted);
    };
    let granted: BTreeSet<_> = wanted.intersection(allowed).cloned().collect();
    if granted.is_empty() && !wanted.is_empty() {
        return Err(IssuerError::invalid_field(
            "scopes",
            "none of them may be granted for this user",
        ));
    }
    Ok(granted)
}

/// RFC 8707, section 2.
fn audiences(application: &Application, asked: &[String]) -> Result<BTreeSet<String>, IssuerError> {
    let granted = among(
        asked,
        &application.audiences,
        &application.default_audiences,
        "audiences",
    )?;
    if granted.is_empty() {
        return Err(IssuerError::invalid_field("audiences", "the application has none"));
    }
    Ok(granted)
}

fn among(
    asked: &[String],
    allowed: &BTreeSet<String>,
    defaults: &BTreeSet<String>,
    field: &str,
) -> Result<BTreeSet<String>, IssuerError> {
    if asked.is_empty() {
        return Ok(defaults.clone());
    }
    let mut violations = FieldViolations::new();
    for (index, name) in asked.iter().enumerate() {
        if !allowed.contains(name) {
            violations.push(
                format!("{field}[{index}]"),
                format!("is not one of the application's {field}"),
            );
        }
    }
    violations.finish()?;
    Ok(asked.iter().cloned().collect())
}

/// S11, S12.
fn binding(application: &Application, request: &IssueRequest) -> Result<Option<BindingValue>, IssuerError> {
    match application.binding_type {
        BindingType::None => Ok(None),
        BindingType::ClientRequest => match &request.binding_id {
            Some(id) => Ok(Some(BindingValue::ClientRequest(id.clone()))),
            None if application.require_binding => Err(IssuerError::invalid_field(
                "token_binding_id",
                "is required by the application",
            )),
            None => Ok(None),
        },
        BindingType::Certificate => match request.certificate_sha256 {
            Some(sha256) => Ok(Some(BindingValue::Certificate(sha256))),
            None => Err(IssuerError::invalid_field(
                "client_certificate",
                "the application's tokens are bound to a client certificate: make the connection with one",
            )),
        },
        // No check lets such an application be declared; an unbound token in its name would be worse than none.
        BindingType::Dpop | BindingType::Unspecified => Err(IssuerError::Internal(
            "an application has a binding type that this version does not issue".to_owned(),
        )),
    }
}
