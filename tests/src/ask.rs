//! Requests for a token, put together word by word.

use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::{
    ClientCredentialsGrant, IssueTokenRequest, JwtBearerGrant, PasswordGrant, RefreshTokenGrant, TokenExchangeGrant,
};

/// Asks for a token of the application itself.
pub fn client_credentials() -> IssueTokenRequest {
    IssueTokenRequest {
        grant: Some(Grant::ClientCredentials(ClientCredentialsGrant {})),
        ..Default::default()
    }
}

/// Asks for a token of a user.
pub fn password(username: &str, password: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        grant: Some(Grant::Password(PasswordGrant {
            username: username.to_owned(),
            password: password.to_owned(),
        })),
        ..Default::default()
    }
}

/// `urn:ietf:params:oauth:token-type:access_token`
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// `urn:ietf:params:oauth:token-type:jwt`
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Asks for a token in exchange for one of the issuer's own or of somebody it trusts.
pub fn exchange(subject_token: &str) -> IssueTokenRequest {
    exchange_with(subject_token, "")
}

/// The same with somebody who acts for the subject.
pub fn exchange_with(subject_token: &str, actor_token: &str) -> IssueTokenRequest {
    let actor_token_type = if actor_token.is_empty() { "" } else { JWT };
    IssueTokenRequest {
        grant: Some(Grant::TokenExchange(TokenExchangeGrant {
            subject_token: subject_token.to_owned(),
            subject_token_type: JWT.to_owned(),
            actor_token: actor_token.to_owned(),
            actor_token_type: actor_token_type.to_owned(),
            requested_token_type: String::new(),
        })),
        ..Default::default()
    }
}

/// Asks for a token on the assertion of a trusted issuer.
pub fn jwt_bearer(assertion: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        grant: Some(Grant::JwtBearer(JwtBearerGrant {
            assertion: assertion.to_owned(),
        })),
        ..Default::default()
    }
}

/// Asks for a token with a refresh token.
pub fn refresh(refresh_token: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        grant: Some(Grant::RefreshToken(RefreshTokenGrant {
            refresh_token: refresh_token.to_owned(),
        })),
        ..Default::default()
    }
}

/// What a request can ask for further.
pub trait Ask: Sized {
    /// These scopes.
    #[must_use]
    fn scopes(self, scopes: &[&str]) -> Self;
    /// For these audiences.
    #[must_use]
    fn audiences(self, audiences: &[&str]) -> Self;
    /// For this device.
    #[must_use]
    fn bound_to(self, token_binding_id: &str) -> Self;
    /// With these credentials in the message.
    #[must_use]
    fn by(self, client_id: &str, client_secret: &str) -> Self;
}

impl Ask for IssueTokenRequest {
    fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(ToString::to_string).collect();
        self
    }

    fn audiences(mut self, audiences: &[&str]) -> Self {
        self.audiences = audiences.iter().map(ToString::to_string).collect();
        self
    }

    fn bound_to(mut self, token_binding_id: &str) -> Self {
        token_binding_id.clone_into(&mut self.token_binding_id);
        self
    }

    fn by(mut self, client_id: &str, client_secret: &str) -> Self {
        client_id.clone_into(&mut self.client_id);
        client_secret.clone_into(&mut self.client_secret);
        self
    }
}
