//! Applications.

use serde::Serialize;
use tokenbind_proto::v1::claim_mapping::Value;
use tokenbind_proto::v1::{Application, BindingLimitPolicy, ClaimMapping, RefreshTokenSettings};

use super::yes;
use crate::output::{facts, joined, table};
use crate::words;

/// An application.
#[derive(Debug, Serialize)]
pub(crate) struct ApplicationView {
    client_id: String,
    display_name: String,
    token_format: String,
    binding_type: String,
    require_binding: bool,
    enforce_binding: bool,
    grants: Vec<String>,
    scopes: Vec<String>,
    default_scopes: Vec<String>,
    audiences: Vec<String>,
    default_audiences: Vec<String>,
    access_token_lifetime_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_tokens: Option<RefreshView>,
    max_bindings_per_subject: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    binding_limit_policy: Option<String>,
    claims: Vec<ClaimView>,
    disabled: bool,
    source: String,
    authentication: Vec<String>,
    /// Only where it was just generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

/// Absent: the default.
#[derive(Debug, Serialize)]
struct RefreshView {
    lifetime_seconds: u32,
    idle_lifetime_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_uses: Option<u32>,
}

#[derive(Debug, Serialize)]
struct ClaimView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    static_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_attribute: Option<String>,
}

impl From<Application> for ApplicationView {
    fn from(application: Application) -> Self {
        let policy = application.binding_limit_policy;
        Self {
            client_id: application.client_id,
            display_name: application.display_name,
            token_format: words::token_format(application.token_format),
            binding_type: words::binding_type(application.binding_type),
            require_binding: application.require_binding,
            enforce_binding: application.enforce_binding,
            grants: application.grants.into_iter().map(words::grant).collect(),
            scopes: application.scopes,
            default_scopes: application.default_scopes,
            audiences: application.audiences,
            default_audiences: application.default_audiences,
            access_token_lifetime_seconds: application.access_token_lifetime_seconds,
            refresh_tokens: application.refresh_tokens.map(RefreshView::from),
            max_bindings_per_subject: application.max_bindings_per_subject,
            binding_limit_policy: (policy != BindingLimitPolicy::Unspecified as i32)
                .then(|| words::binding_limit_policy(policy)),
            claims: application.claims.into_iter().map(ClaimView::from).collect(),
            disabled: application.disabled,
            source: words::source(application.source),
            authentication: match application.client_authentication {
                Some(stated) => stated.methods.into_iter().map(words::authentication_method).collect(),
                None => vec!["secret".to_owned()],
            },
            client_secret: None,
        }
    }
}

impl From<RefreshTokenSettings> for RefreshView {
    fn from(settings: RefreshTokenSettings) -> Self {
        Self {
            lifetime_seconds: settings.lifetime_seconds,
            idle_lifetime_seconds: settings.idle_lifetime_seconds,
            grace_seconds: settings.grace_seconds,
            grace_uses: settings.grace_uses,
        }
    }
}

impl RefreshView {
    fn text(&self) -> String {
        let number = |number: Option<u32>, unit: &str| number.map(|number| format!("{number}{unit}"));
        let stated = |number: u32| (number > 0).then_some(number);
        let parts = [
            ("life", number(stated(self.lifetime_seconds), " s")),
            ("idle", number(stated(self.idle_lifetime_seconds), " s")),
            ("grace", number(self.grace_seconds, " s")),
            ("grace uses", number(self.grace_uses, "")),
        ];
        let parts = parts.into_iter().map(|(name, value)| {
            let value = value.unwrap_or_else(|| "default".to_owned());
            format!("{name} {value}")
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

impl From<ClaimMapping> for ClaimView {
    fn from(claim: ClaimMapping) -> Self {
        let (static_value, user_attribute) = match claim.value {
            None => (None, None),
            Some(Value::StaticValue(text)) => (Some(text), None),
            Some(Value::UserAttribute(name)) => (None, Some(name)),
        };
        Self {
            name: claim.name,
            static_value,
            user_attribute,
        }
    }
}

impl ClaimView {
    fn text(&self) -> String {
        match (&self.static_value, &self.user_attribute) {
            (Some(text), _) => format!("{}={text}", self.name),
            (None, Some(attribute)) => format!("{}=<user's {attribute}>", self.name),
            (None, None) => self.name.clone(),
        }
    }
}

impl ApplicationView {
    /// Shows the secret too, which cannot be asked for again.
    pub(crate) fn with_secret(mut self, secret: String) -> Self {
        self.client_secret = Some(secret).filter(|secret| !secret.is_empty());
        self
    }

    /// One application for people.
    pub(crate) fn text(&self) -> String {
        let lifetime = match self.access_token_lifetime_seconds {
            0 => "3600 s (default)".to_owned(),
            seconds => format!("{seconds} s"),
        };
        let limit = match (self.max_bindings_per_subject, &self.binding_limit_policy) {
            (0, _) => String::new(),
            (max, policy) => format!("{max} per subject, then {}", policy.as_deref().unwrap_or("reject")),
        };
        let claims: Vec<_> = self.claims.iter().map(ClaimView::text).collect();
        facts([
            ("client id", self.client_id.clone()),
            ("name", self.display_name.clone()),
            ("token format", self.token_format.clone()),
            ("binding type", self.binding_type.clone()),
            ("require binding", yes(self.require_binding)),
            ("enforce binding", yes(self.enforce_binding)),
            ("grants", joined(&self.grants)),
            ("scopes", joined(&self.scopes)),
            ("default scopes", joined(&self.default_scopes)),
            ("audiences", joined(&self.audiences)),
            ("default audiences", joined(&self.default_audiences)),
            ("token lifetime", lifetime),
            (
                "refresh tokens",
                self.refresh_tokens.as_ref().map(RefreshView::text).unwrap_or_default(),
            ),
            ("bindings", limit),
            ("claims", joined(&claims)),
            ("authentication", joined(&self.authentication)),
            ("disabled", yes(self.disabled)),
            ("source", self.source.clone()),
            (
                "secret (shown this once)",
                self.client_secret.clone().unwrap_or_default(),
            ),
        ])
    }

    /// Several for people.
    pub(crate) fn table(applications: &[Self]) -> String {
        let row = |application: &Self| {
            [
                application.client_id.clone(),
                application.token_format.clone(),
                application.binding_type.clone(),
                joined(&application.grants),
                joined(&application.scopes),
                application.source.clone(),
                yes(application.disabled),
            ]
        };
        table(
            [
                "CLIENT ID",
                "FORMAT",
                "BINDING",
                "GRANTS",
                "SCOPES",
                "SOURCE",
                "DISABLED",
            ],
            applications.iter().map(row),
        )
    }
}
