//! What a validator decided.

use serde::Serialize;
use serde_json::{Map, Value};
use tokenbind_proto::v1::{Decision, Freshness, TokenFacts, ValidateTokenResponse};

use super::{BindingView, act_object, json_object, span, timestamp, to_the_second};
use crate::output::{facts, joined};
use crate::words;

/// A verdict.
#[derive(Debug, Serialize)]
pub(crate) struct VerdictView {
    decision: String,
    reason: String,
    http_status: u32,
    www_authenticate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    freshness: Option<FreshnessView>,
    #[serde(skip)]
    allowed: bool,
}

#[derive(Debug, Serialize)]
struct TokenView {
    client_id: String,
    subject: String,
    username: String,
    scopes: Vec<String>,
    audiences: Vec<String>,
    token_format: String,
    binding: BindingView,
    issued_at: String,
    expires_at: String,
    token_id: String,
    authorized_user_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Map<String, Value>>,
    claims: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct FreshnessView {
    source: String,
    revision: u64,
    checked_at: String,
    max_staleness: String,
}

impl From<ValidateTokenResponse> for VerdictView {
    fn from(verdict: ValidateTokenResponse) -> Self {
        Self {
            allowed: verdict.decision == Decision::Allow as i32,
            decision: words::decision(verdict.decision),
            reason: words::reason(verdict.reason),
            http_status: verdict.http_status,
            www_authenticate: verdict.www_authenticate,
            token: verdict.token.map(TokenView::from),
            freshness: verdict.freshness.map(FreshnessView::from),
        }
    }
}

impl From<TokenFacts> for TokenView {
    fn from(token: TokenFacts) -> Self {
        Self {
            issued_at: timestamp(token.issued_at.as_ref()),
            expires_at: timestamp(token.expires_at.as_ref()),
            client_id: token.client_id,
            subject: token.subject,
            username: token.username,
            scopes: token.scopes,
            audiences: token.audiences,
            token_format: words::token_format(token.token_format),
            binding: token.binding.into(),
            token_id: token.token_id,
            authorized_user_type: token.authorized_user_type,
            act: token.act.as_ref().map(act_object),
            claims: token.claims.map(json_object).unwrap_or_default(),
        }
    }
}

impl From<Freshness> for FreshnessView {
    fn from(freshness: Freshness) -> Self {
        Self {
            source: words::freshness_source(freshness.source),
            revision: freshness.revision,
            checked_at: timestamp(freshness.checked_at.as_ref()),
            max_staleness: span(freshness.max_staleness.as_ref()),
        }
    }
}

impl VerdictView {
    /// Whether the token may be used like this.
    pub(crate) fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut rows = vec![
            ("decision", self.decision.clone()),
            ("reason", self.reason.clone()),
            ("HTTP status", self.http_status.to_string()),
            ("WWW-Authenticate", self.www_authenticate.clone()),
        ];
        if let Some(token) = &self.token {
            rows.extend([
                ("application", token.client_id.clone()),
                ("subject", token.subject.clone()),
                ("scopes", joined(&token.scopes)),
                ("audiences", joined(&token.audiences)),
                ("token format", token.token_format.clone()),
                ("binding", token.binding.text()),
                ("issued", to_the_second(&token.issued_at)),
                ("ends", to_the_second(&token.expires_at)),
            ]);
            if let Some(act) = &token.act {
                rows.push(("acted on by", Value::from(act.clone()).to_string()));
            }
            if !token.claims.is_empty() {
                rows.push(("claims", Value::from(token.claims.clone()).to_string()));
            }
        }
        if let Some(freshness) = &self.freshness {
            let known = format!(
                "from the {}, as of {}, at most {} older",
                freshness.source, freshness.checked_at, freshness.max_staleness
            );
            rows.push(("known", known));
        }
        facts(rows)
    }
}
