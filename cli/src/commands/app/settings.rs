//! The settings of an application as options.

use clap::Args;
use tokenbind_proto::v1::claim_mapping::Value;
use tokenbind_proto::v1::{Application, BindingLimitPolicy, BindingType, ClaimMapping, GrantType, TokenFormat};

use super::authentication::AuthenticationArgs;
use crate::commands::Changes;
use crate::error::CliError;
use crate::words;

/// What an application and its tokens are like.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,

    /// What its tokens look like; a new application needs it
    #[arg(long, value_name = "FORMAT", value_parser = words::token_formats())]
    token_format: Option<TokenFormat>,

    /// What its tokens are bound to beside the application [default: none]
    #[arg(long, value_name = "TYPE", value_parser = words::binding_types())]
    binding_type: Option<BindingType>,

    /// Whether a request without a binding is refused
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    require_binding: Option<bool>,

    /// Whether a bound token is refused where its binding is not presented
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    enforce_binding: Option<bool>,

    /// A grant that it may use; repeat it for more; a new application needs one
    #[arg(long = "grant", value_name = "GRANT", value_parser = words::grants())]
    grants: Vec<GrantType>,

    /// A scope that it may be granted; repeat it for more
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// A scope that it is granted when it does not ask; repeat it for more [default: all of them]
    #[arg(long = "default-scope", value_name = "SCOPE")]
    default_scopes: Vec<String>,

    /// Who may accept its tokens; repeat it for more; a new application needs one
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,

    /// An audience when it does not ask; repeat it for more [default: all of them]
    #[arg(long = "default-audience", value_name = "AUDIENCE")]
    default_audiences: Vec<String>,

    /// Seconds that a token lives, 1 to 86,400; 0 means 3,600
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<u32>,

    /// Seconds that refresh tokens can follow one another from the login on, at most 31,536,000; 0 means 2,592,000
    #[arg(long, value_name = "SECONDS")]
    refresh_lifetime: Option<u32>,

    /// Seconds that a refresh token lives without being used, at most 31,536,000; 0 means 604,800
    #[arg(long, value_name = "SECONDS")]
    refresh_idle_lifetime: Option<u32>,

    /// Seconds in which a refresh token that was used is answered again, 0 to 60 [default: 10]
    #[arg(long, value_name = "SECONDS")]
    refresh_grace: Option<u32>,

    /// How often within that time, 0 to 100 [default: 3]
    #[arg(long, value_name = "COUNT")]
    refresh_grace_uses: Option<u32>,

    /// Live bindings of one subject, at most 1,000; 0 means no limit
    #[arg(long, value_name = "COUNT")]
    max_bindings: Option<u32>,

    /// What happens to a binding over that limit [default: reject]
    #[arg(long, value_name = "POLICY", value_parser = words::binding_limit_policies())]
    binding_limit_policy: Option<BindingLimitPolicy>,

    /// A claim with the same text in each token; repeat it for more
    #[arg(long = "claim", value_name = "NAME=TEXT", value_parser = words::pair)]
    claims: Vec<(String, String)>,

    /// A claim with the attribute of the user; repeat it for more
    #[arg(long = "user-claim", value_name = "NAME=ATTRIBUTE", value_parser = words::pair)]
    user_claims: Vec<(String, String)>,

    #[command(flatten)]
    authentication: Box<AuthenticationArgs>,

    /// Whether it gets no token, and its live ones are refused
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disabled: Option<bool>,
}

/// What an update can make empty, or take back to its defaults.
pub(super) const CLEARABLE: [&str; 7] = [
    "scopes",
    "default_scopes",
    "default_audiences",
    "claims",
    "client_authentication",
    "display_name",
    "refresh_tokens",
];

impl Settings {
    /// Takes over what was given.
    pub(super) fn apply(self, application: &mut Application) -> Result<Changes, CliError> {
        let mut changes = Changes::default();
        let authentication = self.authentication.read()?.map(Some);
        changes.set(
            "client_authentication",
            &mut application.client_authentication,
            authentication,
        );
        let claims = mappings(self.claims, self.user_claims);
        let grants = self.grants.into_iter().map(|grant| grant as i32).collect();
        changes.set("display_name", &mut application.display_name, self.display_name);
        let format = self.token_format.map(|format| format as i32);
        changes.set("token_format", &mut application.token_format, format);
        let binding_type = self.binding_type.map(|kind| kind as i32);
        changes.set("binding_type", &mut application.binding_type, binding_type);
        changes.set(
            "require_binding",
            &mut application.require_binding,
            self.require_binding,
        );
        changes.set(
            "enforce_binding",
            &mut application.enforce_binding,
            self.enforce_binding,
        );
        changes.set_list("grants", &mut application.grants, grants);
        changes.set_list("scopes", &mut application.scopes, self.scopes);
        changes.set_list("default_scopes", &mut application.default_scopes, self.default_scopes);
        changes.set_list("audiences", &mut application.audiences, self.audiences);
        changes.set_list(
            "default_audiences",
            &mut application.default_audiences,
            self.default_audiences,
        );
        let lifetime = &mut application.access_token_lifetime_seconds;
        changes.set("access_token_lifetime_seconds", lifetime, self.lifetime);
        let mut refresh = application.refresh_tokens.unwrap_or_default();
        let before = changes.count();
        let (lifetime, idle) = (self.refresh_lifetime, self.refresh_idle_lifetime);
        changes.set(
            "refresh_tokens.lifetime_seconds",
            &mut refresh.lifetime_seconds,
            lifetime,
        );
        changes.set(
            "refresh_tokens.idle_lifetime_seconds",
            &mut refresh.idle_lifetime_seconds,
            idle,
        );
        let (grace, uses) = (self.refresh_grace.map(Some), self.refresh_grace_uses.map(Some));
        changes.set("refresh_tokens.grace_seconds", &mut refresh.grace_seconds, grace);
        changes.set("refresh_tokens.grace_uses", &mut refresh.grace_uses, uses);
        if changes.count() > before {
            application.refresh_tokens = Some(refresh);
        }
        let max = &mut application.max_bindings_per_subject;
        changes.set("max_bindings_per_subject", max, self.max_bindings);
        let policy = self.binding_limit_policy.map(|policy| policy as i32);
        changes.set("binding_limit_policy", &mut application.binding_limit_policy, policy);
        changes.set_list("claims", &mut application.claims, claims);
        changes.set("disabled", &mut application.disabled, self.disabled);
        Ok(changes)
    }
}

fn mappings(claims: Vec<(String, String)>, user_claims: Vec<(String, String)>) -> Vec<ClaimMapping> {
    let mapping = |name, value| ClaimMapping {
        name,
        value: Some(value),
    };
    let fixed = claims
        .into_iter()
        .map(|(name, text)| mapping(name, Value::StaticValue(text)));
    let derived = user_claims
        .into_iter()
        .map(|(name, attribute)| mapping(name, Value::UserAttribute(attribute)));
    fixed.chain(derived).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tokenbind_proto::v1::RefreshTokenSettings;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn what_is_given_changes_and_is_in_the_mask() {
        let line = Line::parse_from([
            "t",
            "--token-format",
            "opaque",
            "--binding-type=client-request",
            "--enforce-binding=false",
            "--grant",
            "password",
            "--user-claim",
            "email=mail",
            "--refresh-grace=0",
            "--disabled",
        ]);
        let mut application = Application {
            enforce_binding: true,
            scopes: vec!["kept".to_owned()],
            refresh_tokens: Some(RefreshTokenSettings {
                lifetime_seconds: 60,
                ..RefreshTokenSettings::default()
            }),
            ..Application::default()
        };
        let mask = line.settings.apply(&mut application).unwrap().into_mask().unwrap();
        let expected = [
            "token_format",
            "binding_type",
            "enforce_binding",
            "grants",
            "refresh_tokens.grace_seconds",
            "claims",
            "disabled",
        ];
        assert_eq!(mask.paths, expected);
        assert_eq!(application.token_format, TokenFormat::Opaque as i32);
        assert!(!application.enforce_binding && application.disabled);
        assert_eq!(application.scopes, ["kept"]);
        let refresh = application.refresh_tokens.unwrap();
        assert_eq!((refresh.lifetime_seconds, refresh.grace_seconds), (60, Some(0)));
        assert_eq!(
            application.claims[0].value,
            Some(Value::UserAttribute("mail".to_owned()))
        );
    }
}
