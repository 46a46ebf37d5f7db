//! The application speaks for itself (RFC 6749, section 4.4).

use async_trait::async_trait;
use tokenbind_index::Subject;
use tokenbind_proto::v1::GrantType;

use super::{Authorization, Grant};
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;

/// A request of the grant. The application's own credentials are all that it takes.
#[derive(Clone, Copy, Debug)]
pub struct ClientCredentials;

#[async_trait]
impl Grant for ClientCredentials {
    fn grant_type(&self) -> GrantType {
        GrantType::ClientCredentials
    }

    async fn authorize(&self, _: &Issuer, application: &Application) -> Result<Authorization, IssuerError> {
        let subject = Subject::Application(application.client_id.clone());
        Ok(Authorization::of(subject))
    }
}
