//! The words of the contract as people write them: `jwt` for `TOKEN_FORMAT_JWT`, `client-request` for
//! `BINDING_TYPE_CLIENT_REQUEST`. The catalog file and the introspection answer use the same.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokenbind_proto::v1::certificate_name::Name;
use tokenbind_proto::v1::{
    BindingLimitPolicy, BindingType, CertificateName, ClientAuthenticationMethod, Decision, FreshnessSource, GrantType,
    Reason, Source, TokenFormat,
};

/// Shown for a value of a later version.
const UNKNOWN: &str = "unknown";

fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

fn lower(name: &str, prefix: &str) -> String {
    word(name, prefix).to_lowercase().replace('_', "-")
}

macro_rules! shown {
    ($(#[$doc:meta])* $function:ident, $type:ty, $prefix:literal, $style:ident) => {
        $(#[$doc])*
        pub(crate) fn $function(value: i32) -> String {
            <$type>::try_from(value).map_or_else(|_| UNKNOWN.to_owned(), |value| $style(value.as_str_name(), $prefix))
        }
    };
}

shown!(
    /// `jwt`, `opaque`.
    token_format, TokenFormat, "TOKEN_FORMAT_", lower
);
shown!(
    /// `none`, `client-request`, `certificate`, `dpop`.
    binding_type, BindingType, "BINDING_TYPE_", lower
);
shown!(
    /// `reject`, `evict-oldest`.
    binding_limit_policy, BindingLimitPolicy, "BINDING_LIMIT_POLICY_", lower
);
shown!(
    /// `catalog`, `api`.
    source, Source, "SOURCE_", lower
);
shown!(
    /// `index`, `cache`, `token`.
    freshness_source, FreshnessSource, "FRESHNESS_SOURCE_", lower
);
shown!(
    /// `ALLOW`, `UNAUTHENTICATED`, `PERMISSION_DENIED`.
    decision, Decision, "DECISION_", word
);
shown!(
    /// `VALID`, `TOKEN_SUPERSEDED`, …
    reason, Reason, "REASON_", word
);

/// A number of seconds in a range.
pub(crate) fn seconds(text: &str, range: RangeInclusive<f64>) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| range.contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("must be a number from {} to {}", range.start(), range.end()))
}

/// `password`, `client_credentials`: OAuth writes them with an underscore.
pub(crate) fn grant(value: i32) -> String {
    GrantType::try_from(value).map_or_else(
        |_| UNKNOWN.to_owned(),
        |value| word(value.as_str_name(), "GRANT_TYPE_").to_lowercase(),
    )
}

/// `secret`, `private_key_jwt`, `workload_token`, `none`.
pub(crate) fn authentication_method(value: i32) -> String {
    ClientAuthenticationMethod::try_from(value).map_or_else(
        |_| UNKNOWN.to_owned(),
        |value| word(value.as_str_name(), "CLIENT_AUTHENTICATION_METHOD_").to_lowercase(),
    )
}

/// Reads a token format.
pub(crate) fn token_formats() -> impl TypedValueParser<Value = TokenFormat> {
    PossibleValuesParser::new(["jwt", "opaque"]).map(|word| match word.as_str() {
        "opaque" => TokenFormat::Opaque,
        _ => TokenFormat::Jwt,
    })
}

/// Reads a binding type.
pub(crate) fn binding_types() -> impl TypedValueParser<Value = BindingType> {
    PossibleValuesParser::new(["none", "client-request", "certificate", "dpop"]).map(|word| match word.as_str() {
        "client-request" => BindingType::ClientRequest,
        "certificate" => BindingType::Certificate,
        "dpop" => BindingType::Dpop,
        _ => BindingType::None,
    })
}

/// Reads a grant.
pub(crate) fn grants() -> impl TypedValueParser<Value = GrantType> {
    let words = [
        "password",
        "client_credentials",
        "refresh_token",
        "token_exchange",
        "jwt_bearer",
    ];
    PossibleValuesParser::new(words).map(|word| match word.as_str() {
        "password" => GrantType::Password,
        "refresh_token" => GrantType::RefreshToken,
        "token_exchange" => GrantType::TokenExchange,
        "jwt_bearer" => GrantType::JwtBearer,
        _ => GrantType::ClientCredentials,
    })
}

/// Reads how an application proves who it is.
pub(crate) fn authentication_methods() -> impl TypedValueParser<Value = ClientAuthenticationMethod> {
    let words = ["secret", "private_key_jwt", "workload_token", "tls_client_auth", "none"];
    PossibleValuesParser::new(words).map(|word| match word.as_str() {
        "private_key_jwt" => ClientAuthenticationMethod::PrivateKeyJwt,
        "workload_token" => ClientAuthenticationMethod::WorkloadToken,
        "tls_client_auth" => ClientAuthenticationMethod::TlsClientAuth,
        "none" => ClientAuthenticationMethod::None,
        _ => ClientAuthenticationMethod::Secret,
    })
}

/// `URI:…` or `DNS:…`, as OpenSSL writes them.
pub(crate) fn certificate_name(certificate: CertificateName) -> Option<String> {
    certificate.name.map(|name| match name {
        Name::SanUri(uri) => format!("URI:{uri}"),
        Name::SanDns(name) => format!("DNS:{name}"),
    })
}

/// Reads what happens to a binding over the limit.
pub(crate) fn binding_limit_policies() -> impl TypedValueParser<Value = BindingLimitPolicy> {
    PossibleValuesParser::new(["reject", "evict-oldest"]).map(|word| match word.as_str() {
        "evict-oldest" => BindingLimitPolicy::EvictOldest,
        _ => BindingLimitPolicy::Reject,
    })
}

/// Reads `name=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_catalog_and_of_introspection() {
        assert_eq!(token_format(TokenFormat::Jwt as i32), "jwt");
        assert_eq!(binding_type(BindingType::ClientRequest as i32), "client-request");
        assert_eq!(grant(GrantType::ClientCredentials as i32), "client_credentials");
        assert_eq!(decision(Decision::PermissionDenied as i32), "PERMISSION_DENIED");
        assert_eq!(reason(Reason::TokenSuperseded as i32), "TOKEN_SUPERSEDED");
        assert_eq!(reason(9_999), "unknown");
    }

    #[test]
    fn every_word_that_is_read_is_the_one_that_is_shown() {
        let command = clap::Command::new("t");
        let read = |word: &str| {
            binding_types()
                .parse_ref(&command, None, std::ffi::OsStr::new(word))
                .unwrap()
        };
        for word in ["none", "client-request", "certificate", "dpop"] {
            assert_eq!(binding_type(read(word) as i32), word);
        }
    }

    #[test]
    fn a_pair_needs_a_name() {
        assert_eq!(pair("tier=gold=1").unwrap(), ("tier".to_owned(), "gold=1".to_owned()));
        assert!(pair("=gold").is_err() && pair("tier").is_err());
    }
}
