//! What an access token inherits from the login that a refresh token belongs to (S14).

use std::collections::BTreeSet;

use tokenbind_index::{BindingRef, BindingValue};
use tokenbind_proto::v1::BindingType;

use super::IssueRequest;
use crate::application::Application;
use crate::claims::Bound;
use crate::context::Issuer;
use crate::error::{FieldViolations, IssuerError};
use crate::grant::UsedRefreshToken;

/// C10: all that was granted, or fewer of it. What the application or the user may no longer have falls away, unless nothing is
/// left; what is asked for by name is refused.
pub(super) fn scopes(
    application: &Application,
    of_user: Option<&BTreeSet<String>>,
    used: &UsedRefreshToken,
    asked: &[String],
) -> Result<BTreeSet<String>, IssuerError> {
    let granted: BTreeSet<String> = used.record.scopes.iter().cloned().collect();
    let wanted = fewer(asked, &granted, &application.scopes, "scopes")?;
    let left: BTreeSet<String> = match of_user {
        Some(allowed) => wanted.intersection(allowed).cloned().collect(),
        None => wanted.clone(),
    };
    if left.is_empty() && !granted.is_empty() {
        return Err(IssuerError::invalid_field(
            "scopes",
            "none of them may be granted any more",
        ));
    }
    Ok(left)
}

/// The same for audiences (RFC 8707, section 2.2).
pub(super) fn audiences(
    application: &Application,
    used: &UsedRefreshToken,
    asked: &[String],
) -> Result<BTreeSet<String>, IssuerError> {
    let granted: BTreeSet<String> = used.record.audiences.iter().cloned().collect();
    let left = fewer(asked, &granted, &application.audiences, "audiences")?;
    if left.is_empty() {
        return Err(IssuerError::invalid_field(
            "audiences",
            "none of them may be granted any more",
        ));
    }
    Ok(left)
}

fn fewer(
    asked: &[String],
    granted: &BTreeSet<String>,
    allowed: &BTreeSet<String>,
    field: &str,
) -> Result<BTreeSet<String>, IssuerError> {
    if asked.is_empty() {
        return Ok(granted.intersection(allowed).cloned().collect());
    }
    let mut violations = FieldViolations::new();
    for (index, name) in asked.iter().enumerate() {
        if !granted.contains(name) {
            violations.push(
                format!("{field}[{index}]"),
                "was not granted at the login: a refresh token can have fewer, never more",
            );
        } else if !allowed.contains(name) {
            violations.push(
                format!("{field}[{index}]"),
                format!("is not one of the application's {field} any more"),
            );
        }
    }
    violations.finish()?;
    Ok(asked.iter().cloned().collect())
}

/// The binding of the refresh token. A client-request id is the same or absent; a certificate has to be shown again.
pub(super) fn bound(
    issuer: &Issuer,
    application: &Application,
    used: &UsedRefreshToken,
    request: &IssueRequest,
) -> Result<Option<Bound>, IssuerError> {
    let binding_type = used.record.binding_type();
    let reference = BindingRef::from_record(&used.record.binding_ref);
    if !still_fits(application, binding_type) {
        return Err(IssuerError::InvalidGrant);
    }
    let shown = shown(application, binding_type, request);
    let refers = |value: &BindingValue| value.reference(&issuer.namespace, &application.client_id);
    let equal = match (&shown, binding_type) {
        (Some(value), _) => Some(refers(value)) == reference,
        (None, binding_type) => binding_type != BindingType::Certificate,
    };
    if !equal {
        return Err(IssuerError::InvalidGrant);
    }
    let certificate_sha256 = used.record.certificate_sha256.as_slice().try_into().ok();
    Ok(reference.map(|reference| Bound {
        binding_type,
        reference,
        tag: used.family.position.binding,
        certificate_sha256,
    }))
}

/// S17: what the application demands by now counts for each token that is issued from then on. A login that has less than
/// that is over.
fn still_fits(application: &Application, binding_type: BindingType) -> bool {
    match application.binding_type {
        BindingType::None | BindingType::Unspecified => true,
        BindingType::ClientRequest => !application.require_binding || binding_type != BindingType::None,
        BindingType::Certificate | BindingType::Dpop => application.binding_type == binding_type,
    }
}

/// What the request shows of a binding; S12: an id means nothing where neither the login nor the application has them.
fn shown(application: &Application, binding_type: BindingType, request: &IssueRequest) -> Option<BindingValue> {
    match binding_type {
        BindingType::Certificate => request.certificate_sha256.map(BindingValue::Certificate),
        BindingType::ClientRequest => request.binding_id.clone().map(BindingValue::ClientRequest),
        _ if application.binding_type == BindingType::ClientRequest => {
            request.binding_id.clone().map(BindingValue::ClientRequest)
        }
        _ => None,
    }
}
