//! The words of the file for what the contract numbers.

use tokenbind_proto::v1::{BindingLimitPolicy, BindingType, ClientAuthenticationMethod, GrantType, TokenFormat};

pub(super) const TOKEN_FORMATS: [(&str, i32); 2] =
    [("jwt", TokenFormat::Jwt as i32), ("opaque", TokenFormat::Opaque as i32)];

/// With the one that is not available yet: whoever writes it learns that, and not that it is misspelt.
pub(super) const BINDING_TYPES: [(&str, i32); 4] = [
    ("none", BindingType::None as i32),
    ("client-request", BindingType::ClientRequest as i32),
    ("certificate", BindingType::Certificate as i32),
    ("dpop", BindingType::Dpop as i32),
];

pub(super) const GRANTS: [(&str, i32); 5] = [
    ("password", GrantType::Password as i32),
    ("client_credentials", GrantType::ClientCredentials as i32),
    ("refresh_token", GrantType::RefreshToken as i32),
    ("token_exchange", GrantType::TokenExchange as i32),
    ("jwt_bearer", GrantType::JwtBearer as i32),
];

pub(super) const EXCHANGE_GRANTS: [(&str, i32); 2] = [
    ("token_exchange", GrantType::TokenExchange as i32),
    ("jwt_bearer", GrantType::JwtBearer as i32),
];

pub(super) const AUTHENTICATION_METHODS: [(&str, i32); 5] = [
    ("secret", ClientAuthenticationMethod::Secret as i32),
    ("private_key_jwt", ClientAuthenticationMethod::PrivateKeyJwt as i32),
    ("workload_token", ClientAuthenticationMethod::WorkloadToken as i32),
    ("tls_client_auth", ClientAuthenticationMethod::TlsClientAuth as i32),
    ("none", ClientAuthenticationMethod::None as i32),
];

pub(super) const BINDING_LIMIT_POLICIES: [(&str, i32); 2] = [
    ("reject", BindingLimitPolicy::Reject as i32),
    ("evict-oldest", BindingLimitPolicy::EvictOldest as i32),
];
