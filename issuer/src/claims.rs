//! What a JWT says (RFC 9068, section 2.2), and the claims that an application maps.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};
use tokenbind_index::{BindingRef, BindingTag, BindingValue, Home, Namespace};
use tokenbind_jose::Act;
use tokenbind_proto::v1::{BindingType, ClaimMapping, claim_mapping};

/// The claims that the issuer sets itself, or that a reader takes for the issuer's. No application may map them.
pub const RESERVED_CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "client_id",
    "azp",
    "scope",
    "aut",
    "binding_type",
    "binding_ref",
    "cnf",
    "act",
    "may_act",
    "auth_time",
    "acr",
    "amr",
    "active",
    "token_type",
    "username",
];

/// What a token is bound to, in the words of its claims and its record. The raw value is not needed, and is not there where
/// the binding was inherited.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) binding_type: BindingType,
    pub(crate) reference: BindingRef,
    pub(crate) tag: BindingTag,
    pub(crate) certificate_sha256: Option<[u8; 32]>,
}

impl Bound {
    /// The binding to a value.
    pub(crate) fn to(value: &BindingValue, tenant: &Namespace, client_id: &str, home: &Home) -> Self {
        Self {
            binding_type: value.binding_type(),
            reference: value.reference(tenant, client_id),
            tag: value.tag(home),
            certificate_sha256: match value {
                BindingValue::Certificate(sha256) => Some(*sha256),
                BindingValue::ClientRequest(_) => None,
            },
        }
    }
}

/// The claims of one token.
#[derive(Serialize)]
pub(crate) struct Claims<'a> {
    pub(crate) iss: &'a str,
    pub(crate) sub: &'a str,
    pub(crate) aud: Audience<'a>,
    pub(crate) exp: u64,
    pub(crate) iat: u64,
    pub(crate) nbf: u64,
    pub(crate) jti: &'a str,
    pub(crate) client_id: &'a str,
    /// The same once more, for readers that know `OpenID` Connect.
    pub(crate) azp: &'a str,
    pub(crate) scope: String,
    pub(crate) aut: &'static str,
    pub(crate) binding_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) binding_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cnf: Option<Confirmation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<Act>,
    #[serde(flatten)]
    pub(crate) mapped: &'a Map<String, Value>,
}

/// A string for one, an array for several (RFC 7519, section 4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Audience<'a> {
    One(&'a str),
    Several(&'a BTreeSet<String>),
}

impl<'a> Audience<'a> {
    pub(crate) fn of(audiences: &'a BTreeSet<String>) -> Self {
        match audiences.first() {
            Some(only) if audiences.len() == 1 => Self::One(only),
            _ => Self::Several(audiences),
        }
    }
}

/// RFC 8705, section 3.1.
#[derive(Serialize)]
pub(crate) struct Confirmation {
    #[serde(rename = "x5t#S256")]
    pub(crate) x5t_s256: String,
}

/// The claim `binding_type` of this token: one without a binding says `none`, whatever its application could have.
pub(crate) fn binding_type(bound: Option<&Bound>) -> BindingType {
    bound.map_or(BindingType::None, |bound| bound.binding_type)
}

/// The word for a binding type in claims.
pub(crate) fn binding_word(binding_type: BindingType) -> &'static str {
    match binding_type {
        BindingType::Unspecified | BindingType::None => "none",
        BindingType::ClientRequest => "client-request",
        BindingType::Certificate => "certificate",
        BindingType::Dpop => "dpop",
    }
}

/// The claim `cnf`, for a token that is bound to a certificate.
pub(crate) fn confirmation(bound: Option<&Bound>) -> Option<Confirmation> {
    let sha256 = bound.and_then(|bound| bound.certificate_sha256)?;
    Some(Confirmation {
        x5t_s256: URL_SAFE_NO_PAD.encode(sha256),
    })
}

/// Scopes as one string (RFC 6749, section 3.3), sorted.
pub(crate) fn scope(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// The claims that the application maps, for a subject with these attributes.
pub(crate) fn mapped(mappings: &[ClaimMapping], attributes: &BTreeMap<String, String>) -> Map<String, Value> {
    let mut claims = Map::new();
    for mapping in mappings {
        let value = match &mapping.value {
            Some(claim_mapping::Value::StaticValue(text)) => Some(text),
            Some(claim_mapping::Value::UserAttribute(name)) => attributes.get(name),
            None => None,
        };
        // The checks of an application refuse these too; a claim of the issuer must not depend on them.
        if let Some(value) = value.filter(|_| !RESERVED_CLAIMS.contains(&mapping.name.as_str())) {
            claims.insert(mapping.name.clone(), Value::String(value.clone()));
        }
    }
    claims
}
