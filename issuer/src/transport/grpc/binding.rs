//! `tokenbind.v1.BindingService`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_types::Timestamp;
use tokenbind_index::{BindingRef, Cursor, ListedFamily, Revoked, Subject};
use tokenbind_proto::v1::binding_service_server::BindingService;
use tokenbind_proto::v1::{
    Binding, ListBindingsRequest, ListBindingsResponse, LiveBinding, RevokeApplicationRequest,
    RevokeApplicationResponse, RevokeBindingRequest, RevokeBindingResponse, RevokeSubjectRequest,
    RevokeSubjectResponse, TokenFormat,
};
use tonic::{Request, Response, Status, async_trait};

use super::access::presented_token;
use super::checks;
use super::credentials::{ClientFields, presented_client};
use super::status::to_status;
use crate::admin_access::AdminAccess;
use crate::bindings::{Caller, Listed, Live};
use crate::client;
use crate::context::Issuer;
use crate::error::{FieldViolations, IssuerError};
use crate::telemetry;
use crate::throttle::Peer;

const DEFAULT_PAGE: u32 = 100;
const MAX_PAGE: u32 = 1_000;

/// Lists and revokes what a subject holds.
#[derive(Clone)]
pub(super) struct BindingRpc {
    issuer: Issuer,
    access: AdminAccess,
}

impl BindingRpc {
    /// Serves this issuer.
    pub(super) fn new(issuer: Issuer) -> Self {
        let access = AdminAccess::of(&issuer);
        Self { issuer, access }
    }

    /// An administrator by Bearer token, or an application by Basic. Proven before anything is said about the request.
    async fn caller<T: Sync>(&self, request: &Request<T>) -> Result<Caller, IssuerError> {
        let presented = presented_token(request)?;
        if presented.bearer.is_some() {
            let administrator = self.access.authorize(&presented).await;
            let administrator = administrator.inspect_err(telemetry::administration_refused)?;
            return Ok(Caller::Administrator(administrator));
        }
        let mut violations = FieldViolations::new();
        let peer = Peer::of(request.remote_addr());
        let client = presented_client(
            request.metadata(),
            peer,
            request.extensions(),
            ClientFields::none(),
            &mut violations,
        )?;
        violations.finish()?;
        let client = client.ok_or(IssuerError::CredentialsMissing)?;
        Ok(Caller::Application(
            client::authenticate(&self.issuer, Some(&client)).await?,
        ))
    }

    async fn list(&self, request: Request<ListBindingsRequest>) -> Result<ListBindingsResponse, IssuerError> {
        let caller = self.caller(&request).await?;
        let message = request.into_inner();
        let mut violations = FieldViolations::new();
        let (subject, client_id) = scope(&mut violations, &message.subject, &message.client_id);
        let size = page_size(&mut violations, message.page_size);
        let after = page_token(&mut violations, &message.page_token);
        violations.finish()?;
        let Listed { live, next } = self
            .issuer
            .list_bindings(&caller, &subject, client_id, after, size)
            .await?;
        Ok(ListBindingsResponse {
            bindings: live.into_iter().map(live_binding).collect(),
            next_page_token: next.map(encode_cursor).unwrap_or_default(),
        })
    }

    async fn revoke_one(&self, request: Request<RevokeBindingRequest>) -> Result<Revoked, IssuerError> {
        let caller = self.caller(&request).await?;
        let message = request.into_inner();
        let mut violations = FieldViolations::new();
        let (subject, client_id) = scope(&mut violations, &message.subject, &message.client_id);
        let binding_id = checks::binding_id(&mut violations, &message.token_binding_id);
        if binding_id.is_none() && violations.is_empty() {
            violations.push("token_binding_id", "must be 1 to 255 bytes and not only white space");
        }
        violations.finish()?;
        // No id without a violation; a subject without one would be another, far larger revocation.
        let binding_id = binding_id.ok_or_else(|| IssuerError::Internal("a binding id is missing".to_owned()))?;
        self.issuer
            .revoke_binding(&caller, &subject, client_id, binding_id)
            .await
    }

    async fn revoke_all(&self, request: Request<RevokeSubjectRequest>) -> Result<Revoked, IssuerError> {
        let caller = self.caller(&request).await?;
        let message = request.into_inner();
        let mut violations = FieldViolations::new();
        let (subject, client_id) = scope(&mut violations, &message.subject, &message.client_id);
        violations.finish()?;
        self.issuer.revoke_subject(&caller, &subject, client_id).await
    }

    async fn revoke_issued(&self, request: Request<RevokeApplicationRequest>) -> Result<u64, IssuerError> {
        let caller = self.caller(&request).await?;
        let client_id = request.into_inner().client_id;
        let mut violations = FieldViolations::new();
        checks::client_id(&mut violations, "client_id", &client_id);
        violations.finish()?;
        self.issuer.revoke_application(&caller, &client_id).await
    }
}

#[async_trait]
impl BindingService for BindingRpc {
    async fn list_bindings(
        &self,
        request: Request<ListBindingsRequest>,
    ) -> Result<Response<ListBindingsResponse>, Status> {
        self.list(request).await.map(Response::new).map_err(to_status)
    }

    async fn revoke_binding(
        &self,
        request: Request<RevokeBindingRequest>,
    ) -> Result<Response<RevokeBindingResponse>, Status> {
        let Revoked { count, revision } = self.revoke_one(request).await.map_err(to_status)?;
        Ok(Response::new(RevokeBindingResponse {
            revoked: count,
            revision,
        }))
    }

    async fn revoke_subject(
        &self,
        request: Request<RevokeSubjectRequest>,
    ) -> Result<Response<RevokeSubjectResponse>, Status> {
        let Revoked { count, revision } = self.revoke_all(request).await.map_err(to_status)?;
        Ok(Response::new(RevokeSubjectResponse {
            revoked: count,
            revision,
        }))
    }

    async fn revoke_application(
        &self,
        request: Request<RevokeApplicationRequest>,
    ) -> Result<Response<RevokeApplicationResponse>, Status> {
        let revision = self.revoke_issued(request).await.map_err(to_status)?;
        Ok(Response::new(RevokeApplicationResponse { revision }))
    }
}

/// Whose tokens, and of which application.
fn scope<'a>(violations: &mut FieldViolations, subject: &str, client_id: &'a str) -> (Subject, Option<&'a str>) {
    checks::subject(violations, subject);
    checks::optional_client_id(violations, "client_id", client_id);
    (
        Subject::from_claim(subject),
        (!client_id.is_empty()).then_some(client_id),
    )
}

fn page_size(violations: &mut FieldViolations, asked: u32) -> usize {
    if asked > MAX_PAGE {
        violations.push("page_size", format!("must be at most {MAX_PAGE}"));
    }
    let size = if asked == 0 { DEFAULT_PAGE } else { asked };
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn page_token(violations: &mut FieldViolations, token: &str) -> Option<Cursor> {
    let cursor = (!token.is_empty()).then(|| decode_cursor(token))?;
    if cursor.is_none() {
        violations.push("page_token", "must be the `next_page_token` of an answer");
    }
    cursor
}

fn encode_cursor(cursor: Cursor) -> String {
    let (expires_ms, listed) = (cursor.expires_ms.to_be_bytes(), cursor.listed.to_be_bytes());
    URL_SAFE_NO_PAD.encode([expires_ms, listed].concat())
}

fn decode_cursor(token: &str) -> Option<Cursor> {
    let mut bytes = [0; 16];
    if token.len() != 22 || URL_SAFE_NO_PAD.decode_slice(token, &mut bytes) != Ok(16) {
        return None;
    }
    let (expires_ms, listed) = (bytes.first_chunk()?, bytes.last_chunk()?);
    let listed = u64::from_be_bytes(*listed);
    // No list is longer, and stores cannot count further than some number above it.
    u32::try_from(listed).is_ok().then_some(Cursor {
        expires_ms: u64::from_be_bytes(*expires_ms),
        listed,
    })
}

fn live_binding(live: Live) -> LiveBinding {
    match live {
        Live::Token(record) => LiveBinding {
            token_format: record.format,
            binding: Some(binding(record.binding_type, &record.binding_ref)),
            issued_at: Some(timestamp(record.revision)),
            expires_at: Some(timestamp(
                record.revision.saturating_add(u64::from(record.lifetime_ms) * 1_000),
            )),
            client_id: record.client_id,
            scopes: record.scopes,
            audiences: record.audiences,
            refreshable: false,
        },
        Live::Family(ListedFamily { expires_ms, record }) => LiveBinding {
            token_format: TokenFormat::Unspecified.into(),
            binding: Some(binding(record.binding_type, &record.binding_ref)),
            issued_at: Some(timestamp(record.rotated_at)),
            expires_at: Some(timestamp(expires_ms.saturating_mul(1_000))),
            client_id: record.client_id,
            scopes: record.scopes,
            audiences: record.audiences,
            refreshable: true,
        },
    }
}

fn binding(binding_type: i32, reference: &[u8]) -> Binding {
    let reference = BindingRef::from_record(reference).map(|reference| reference.encode());
    Binding {
        r#type: binding_type,
        r#ref: reference.unwrap_or_default(),
    }
}

fn timestamp(microseconds: u64) -> Timestamp {
    let seconds = i64::try_from(microseconds / 1_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(microseconds % 1_000_000 * 1_000).unwrap_or(0);
    Timestamp { seconds, nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_read_back_and_a_bad_one_is_a_violation() {
        let cursor = Cursor {
            expires_ms: 1_700_000_000_123,
            listed: 7,
        };
        let mut violations = FieldViolations::new();
        assert_eq!(page_token(&mut violations, &encode_cursor(cursor)), Some(cursor));
        assert_eq!(page_token(&mut violations, ""), None);
        assert!(violations.is_empty());
        let endless = encode_cursor(Cursor {
            listed: u64::MAX,
            ..cursor
        });
        for bad in ["x", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAA==", "ü", &endless] {
            let mut violations = FieldViolations::new();
            page_token(&mut violations, bad);
            assert_eq!(violations.as_slice()[0].field, "page_token", "{bad}");
        }
    }
}
