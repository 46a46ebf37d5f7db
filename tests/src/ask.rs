//! Requests for a token, put together word by word.

use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::{ClientCredentialsGrant, IssueTokenRequest, PasswordGrant};

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
