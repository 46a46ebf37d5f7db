//! Decides what is granted: scopes, audiences and binding.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message as _;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use tokenbind_index::{BindingValue, Home, Slot, SlotDefinition, Subject, TokenDigest};
use tokenbind_proto::v1::{Actor, BindingType};

use super::{IssueRequest, inherited};
use crate::application::Application;
use crate::claims::{self, Bound};
use crate::context::Issuer;
use crate::error::{FieldViolations, IssuerError};
use crate::grant::{Authorization, Dependency, Login};

/// What a token will be.
pub(super) struct Token {
    pub(super) subject: Subject,
    pub(super) scopes: BTreeSet<String>,
    pub(super) audiences: BTreeSet<String>,
    pub(super) bound: Option<Bound>,
    pub(super) mapped: Map<String, Value>,
    /// Who acts for the subject.
    pub(super) act: Option<Actor>,
    /// It does not live on after this, in microseconds since 1970.
    pub(super) ends_at_us: Option<u64>,
    pub(super) home: Home,
    pub(super) slot: Slot,
    /// A token that it was granted on and whose place it takes, and the field of the request that it came in.
    pub(super) instead_of: Option<(TokenDigest, &'static str)>,
}

pub(super) fn decide(
    issuer: &Issuer,
    application: &Application,
    authorization: &Authorization,
    request: &IssueRequest,
) -> Result<Token, IssuerError> {
    let subject = authorization.subject.clone();
    let home = subject.home();
    let (scopes, audiences, bound) = match &authorization.login {
        Login::GoesOn(used) => (
            inherited::scopes(application, authorization.scopes.as_ref(), used, &request.scopes)?,
            inherited::audiences(application, used, &request.audiences)?,
            inherited::bound(issuer, application, used, request)?,
        ),
        Login::None | Login::Begins => {
            let value = binding(application, request)?;
            check_inherited(authorization, value.as_ref())?;
            let bound = |value| Bound::to(&value, &issuer.namespace, &application.client_id, &home);
            (
                scopes(application, authorization, &request.scopes)?,
                audiences(application, authorization, &request.audiences)?,
                value.map(bound),
            )
        }
    };
    // The whole chain: tokens that say different things of who acted are not each other's.
    let actor = authorization.act.clone().map(|act| act.encode_to_vec());
    let actor = actor.map(|act| URL_SAFE_NO_PAD.encode(act));
    let slot = SlotDefinition {
        client_id: &application.client_id,
        subject: &subject,
        scopes: &scopes,
        audiences: &audiences,
        format: application.format,
        actor: actor.as_deref(),
        binding: bound.as_ref().map(|bound| bound.reference),
    }
    .slot();
    let in_slot = |dependency: &&Dependency| dependency.locator.home == home && dependency.locator.slot == slot;
    let instead_of = authorization.depends_on.iter().find(in_slot);
    let instead_of = instead_of.map(|it| (TokenDigest::of(it.token.expose_secret()), it.field));
    let mapped = claims::mapped(&application.claims, &authorization.attributes);
    Ok(Token {
        subject,
        scopes,
        audiences,
        bound,
        mapped,
        act: authorization.act.clone(),
        ends_at_us: authorization.ends_at_us,
        home,
        slot,
        instead_of,
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
            "none of them may be granted for this subject",
        ));
    }
    Ok(granted)
}

/// RFC 8707, section 2. An audience that is asked is never left out silently: a token for others is not what was asked.
fn audiences(
    application: &Application,
    authorization: &Authorization,
    asked: &[String],
) -> Result<BTreeSet<String>, IssuerError> {
    let wanted = among(
        asked,
        &application.audiences,
        &application.default_audiences,
        "audiences",
    )?;
    let granted = match &authorization.audiences {
        None => wanted,
        Some(allowed) => {
            let mut violations = FieldViolations::new();
            for (index, _) in asked.iter().enumerate().filter(|(_, name)| !allowed.contains(*name)) {
                violations.push(format!("audiences[{index}]"), "is not allowed in this exchange");
            }
            violations.finish()?;
            wanted.intersection(allowed).cloned().collect()
        }
    };
    if granted.is_empty() {
        return Err(IssuerError::invalid_field(
            "audiences",
            "there is none that the token may be for",
        ));
    }
    Ok(granted)
}

/// C51: what was bound stays bound, to the same value.
fn check_inherited(authorization: &Authorization, value: Option<&BindingValue>) -> Result<(), IssuerError> {
    match (&authorization.bound_to, value) {
        (None, _) => Ok(()),
        (Some(wanted), Some(value)) if value == wanted => Ok(()),
        (Some(_), _) => Err(IssuerError::UnauthorizedClient(
            "the subject token is bound, and this application's tokens would not be bound to the same",
        )),
    }
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
