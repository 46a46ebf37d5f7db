//! An application as the use cases see it: its record with every default applied.

use std::collections::BTreeSet;

use prost::Message as _;
use tokenbind_index::{BindingLimit, Document, DocumentKind, DocumentStore, Generation, Grace, OverLimit};
use tokenbind_proto::index::v1::{ApplicationRecord, SecretDigest};
use tokenbind_proto::v1::{
    BindingLimitPolicy, BindingType, ClaimMapping, ClientAuthentication, ClientAuthenticationMethod, GrantType,
    RefreshTokenSettings, TokenFormat, certificate_name, client_authentication,
};
use tokenbind_runtime::tls::SubjectName;

use crate::error::IssuerError;

/// The lifetime of an access token where the application does not say, in seconds.
pub const DEFAULT_LIFETIME_SECONDS: u32 = 3_600;
/// The longest lifetime of an access token, in seconds.
pub const MAX_LIFETIME_SECONDS: u32 = 86_400;
/// How long something must be remembered that tokens depend on, after the last of them was issued: the longest lifetime and
/// an hour for clocks that differ and writes that were late. Seconds.
pub const OUTLIVES_TOKENS_SECONDS: u32 = MAX_LIFETIME_SECONDS + 3_600;

/// The longest life of a family of refresh tokens, used or not, in seconds.
pub const MAX_REFRESH_LIFETIME_SECONDS: u32 = 31_536_000;
/// The longest time in which a refresh token that was used is answered again, in seconds.
pub const MAX_GRACE_SECONDS: u32 = 60;
/// How often at most.
pub const MAX_GRACE_USES: u32 = 100;
const DEFAULT_REFRESH_LIFETIME_SECONDS: u32 = 2_592_000;
const DEFAULT_IDLE_LIFETIME_SECONDS: u32 = 604_800;
const DEFAULT_GRACE_SECONDS: u32 = 10;
const DEFAULT_GRACE_USES: u32 = 3;

/// What an application's refresh tokens are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshSettings {
    /// How long they can follow one another, in milliseconds.
    pub lifetime_ms: u64,
    /// How long each lives, in milliseconds.
    pub idle_ms: u64,
    /// For a client that lost an answer.
    pub grace: Grace,
}

impl RefreshSettings {
    fn of(declared: RefreshTokenSettings) -> Self {
        let ms = |declared: u32, default: u32, most: u32| {
            let seconds = if declared == 0 { default } else { declared.min(most) };
            u64::from(seconds) * 1_000
        };
        let lifetime_ms = ms(
            declared.lifetime_seconds,
            DEFAULT_REFRESH_LIFETIME_SECONDS,
            MAX_REFRESH_LIFETIME_SECONDS,
        );
        let idle_ms = ms(
            declared.idle_lifetime_seconds,
            DEFAULT_IDLE_LIFETIME_SECONDS,
            MAX_REFRESH_LIFETIME_SECONDS,
        );
        let grace_seconds = declared.grace_seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
        Self {
            lifetime_ms,
            idle_ms: idle_ms.min(lifetime_ms),
            grace: Grace {
                ms: u64::from(grace_seconds.min(MAX_GRACE_SECONDS)) * 1_000,
                uses: declared.grace_uses.unwrap_or(DEFAULT_GRACE_USES).min(MAX_GRACE_USES),
            },
        }
    }
}

/// An application: what it may have, and what its tokens are like.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its name.
    pub client_id: String,
    /// What is issued to it now is of this generation (R4).
    pub generation: Generation,
    /// What its tokens look like.
    pub format: TokenFormat,
    /// What they are bound to.
    pub binding_type: BindingType,
    /// A request without a binding is refused.
    pub require_binding: bool,
    /// The grants it may use.
    pub grants: Vec<GrantType>,
    /// What it may be granted.
    pub scopes: BTreeSet<String>,
    /// What it is granted when it does not ask.
    pub default_scopes: BTreeSet<String>,
    /// Who may accept its tokens.
    pub audiences: BTreeSet<String>,
    /// Who does when it does not ask.
    pub default_audiences: BTreeSet<String>,
    /// How long its tokens live.
    pub lifetime_seconds: u32,
    /// How many live bindings a subject may have.
    pub limit: Option<BindingLimit>,
    /// Claims beside the standard ones.
    pub claims: Vec<ClaimMapping>,
    /// The refresh tokens that it is given with the tokens for users, if any.
    pub refresh: Option<RefreshSettings>,
    /// Nothing is issued to it, and what was is refused.
    pub disabled: bool,
    /// How it proves who it is.
    pub authentication: Authentication,
    pub(crate) secrets: Vec<SecretDigest>,
}

/// How an application proves who it is.
#[derive(Clone, Debug, Default)]
pub struct Authentication {
    /// By a secret.
    pub secret: bool,
    /// By what it signs with one of these.
    pub keys: Option<ClientKeys>,
    /// By the token of this workload: the name of a trusted issuer, and what that calls it.
    pub workload: Option<(String, String)>,
    /// By a certificate of this name.
    pub certificate: Option<SubjectName>,
    /// Not at all.
    pub public: bool,
}

/// The public keys of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKeys {
    /// A JWK Set, as JSON.
    Set(String),
    /// Where one is.
    Uri(String),
}

impl Authentication {
    fn of(declared: Option<ClientAuthentication>) -> Self {
        let Some(declared) = declared else {
            return Self {
                secret: true,
                ..Self::default()
            };
        };
        let has = |method: ClientAuthenticationMethod| declared.methods().any(|stated| stated == method);
        let (signs, is_workload) = (
            has(ClientAuthenticationMethod::PrivateKeyJwt),
            has(ClientAuthenticationMethod::WorkloadToken),
        );
        let by_certificate = has(ClientAuthenticationMethod::TlsClientAuth);
        let certificate = declared.certificate.clone().and_then(|certificate| certificate.name);
        Self {
            certificate: certificate.filter(|_| by_certificate).map(|name| match name {
                certificate_name::Name::SanUri(uri) => SubjectName::Uri(uri),
                certificate_name::Name::SanDns(name) => SubjectName::Dns(name),
            }),
            secret: has(ClientAuthenticationMethod::Secret),
            public: declared.methods == [ClientAuthenticationMethod::None as i32],
            workload: declared
                .workload
                .filter(|_| is_workload)
                .map(|workload| (workload.trusted_issuer, workload.subject)),
            keys: declared.keys.filter(|_| signs).map(|keys| match keys {
                client_authentication::Keys::JwksJson(json) => ClientKeys::Set(json),
                client_authentication::Keys::JwksUri(uri) => ClientKeys::Uri(uri),
            }),
        }
    }
}

impl Application {
    /// Reads an application from the store; `None` where there is none.
    pub async fn load(store: &dyn DocumentStore, client_id: &str) -> Result<Option<Self>, IssuerError> {
        let document = store.document(DocumentKind::Application, client_id).await?;
        document.map(|document| Self::decode(&document)).transpose()
    }

    /// Resolves a stored record.
    pub fn decode(document: &Document) -> Result<Self, IssuerError> {
        let record = ApplicationRecord::decode(document.body.as_slice())
            .map_err(|error| IssuerError::Internal(format!("an application's record cannot be read: {error}")))?;
        let declared = record
            .application
            .ok_or_else(|| IssuerError::Internal("an application's record says nothing".to_owned()))?;
        let format = declared.token_format();
        let binding_type = match declared.binding_type() {
            BindingType::Unspecified => BindingType::None,
            stated => stated,
        };
        let limit = binding_limit(declared.max_bindings_per_subject, declared.binding_limit_policy());
        let grants: Vec<_> = declared.grants().collect();
        let refresh = grants.contains(&GrantType::RefreshToken);
        let scopes: BTreeSet<String> = declared.scopes.into_iter().collect();
        let audiences: BTreeSet<String> = declared.audiences.into_iter().collect();
        Ok(Self {
            generation: document.generation,
            format,
            binding_type,
            require_binding: declared.require_binding,
            grants,
            default_scopes: or_all(declared.default_scopes, &scopes),
            scopes,
            default_audiences: or_all(declared.default_audiences, &audiences),
            audiences,
            lifetime_seconds: match declared.access_token_lifetime_seconds {
                0 => DEFAULT_LIFETIME_SECONDS,
                stated => stated.min(MAX_LIFETIME_SECONDS),
            },
            limit,
            claims: declared.claims,
            refresh: refresh.then(|| RefreshSettings::of(declared.refresh_tokens.unwrap_or_default())),
            disabled: declared.disabled,
            authentication: Authentication::of(declared.client_authentication),
            client_id: declared.client_id,
            secrets: record.secrets,
        })
    }
}

fn or_all(defaults: Vec<String>, all: &BTreeSet<String>) -> BTreeSet<String> {
    if defaults.is_empty() {
        all.clone()
    } else {
        defaults.into_iter().collect()
    }
}

fn binding_limit(max: u32, policy: BindingLimitPolicy) -> Option<BindingLimit> {
    let over = match policy {
        BindingLimitPolicy::EvictOldest => OverLimit::EvictOldest,
        BindingLimitPolicy::Reject | BindingLimitPolicy::Unspecified => OverLimit::Reject,
    };
    (max > 0).then_some(BindingLimit { max, over })
}
