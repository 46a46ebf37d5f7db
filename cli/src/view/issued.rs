//! The answer to a token request.

use serde::Serialize;
use tokenbind_proto::v1::IssueTokenResponse;

use super::BindingView;
use crate::output::{facts, joined};

/// A token and what it is good for. Showing the token is what this is for.
#[derive(Serialize)]
pub(crate) struct IssuedView {
    access_token: String,
    token_type: String,
    expires_in: u32,
    scopes: Vec<String>,
    issued_token_type: String,
    binding: BindingView,
    reused: bool,
    superseded: bool,
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_expires_in: Option<u32>,
}

impl From<IssueTokenResponse> for IssuedView {
    fn from(issued: IssueTokenResponse) -> Self {
        Self {
            access_token: issued.access_token,
            token_type: issued.token_type,
            expires_in: issued.expires_in,
            scopes: issued.scopes,
            issued_token_type: issued.issued_token_type,
            binding: issued.binding.into(),
            reused: issued.reused,
            superseded: issued.superseded,
            revision: issued.revision,
            refresh_expires_in: (!issued.refresh_token.is_empty()).then_some(issued.refresh_expires_in),
            refresh_token: (!issued.refresh_token.is_empty()).then_some(issued.refresh_token),
        }
    }
}

impl IssuedView {
    /// The token alone.
    pub(crate) fn token(&self) -> &str {
        &self.access_token
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let slot = match (self.reused, self.superseded) {
            (true, _) => "the same token again: it still lives",
            (false, true) => "a new token; the one that was in its slot is dead",
            (false, false) => "a new token",
        };
        facts([
            ("access token", self.access_token.clone()),
            ("token type", self.token_type.clone()),
            ("expires in", format!("{} s", self.expires_in)),
            ("scopes", joined(&self.scopes)),
            ("binding", self.binding.text()),
            ("this is", slot.to_owned()),
            ("revision", self.revision.to_string()),
            ("refresh token", self.refresh_token.clone().unwrap_or_default()),
            (
                "refresh in",
                self.refresh_expires_in
                    .map_or_else(String::new, |seconds| format!("{seconds} s")),
            ),
        ])
    }
}
