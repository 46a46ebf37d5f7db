//! The key that a token was made with, as far as it decides whether the token is live.
//!
//! Which key verifies a JWT is known from the [key set](super::key_set), which may be some seconds old. Whether that key still holds is
//! known as of what else is known of the token: from its document, whose changes the index tells.

use std::sync::Arc;

use prost::Message as _;
use tokenbind_index::{Document, IndexError, Stamp};
use tokenbind_proto::index::v1::{OpaqueKeyRecord, SigningKeyRecord, TokenRecord};
use tokenbind_proto::v1::TokenFormat;

use super::documents::{Bound, Documents, Kept};
use super::jwt::UnverifiedJwt;
use super::known::KnownToken;
use super::source::{FactInputs, FactSource, Proven};

/// What matters of a key to the tokens that were made with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// It is not to be trusted any more, and so is nothing that was made with it.
    pub withdrawn: bool,
}

/// The documents of keys.
pub(super) struct Keys {
    signing: Documents<KeyFacts>,
    opaque: Documents<KeyFacts>,
}

impl Keys {
    pub(super) fn new(inputs: &FactInputs) -> Self {
        use tokenbind_index::DocumentKind::{OpaqueKey, SigningKey};
        let documents = |kind, decode| Documents::new(kind, decode, Arc::clone(&inputs.store), inputs.tracking.clone());
        Self {
            signing: documents(SigningKey, signing_key),
            opaque: documents(OpaqueKey, opaque_key),
        }
    }

    pub(super) fn of(&self, format: TokenFormat) -> &Documents<KeyFacts> {
        match format {
            TokenFormat::Opaque => &self.opaque,
            TokenFormat::Jwt | TokenFormat::Unspecified => &self.signing,
        }
    }

    /// What is kept of the key of a token, and may be used. The outer `None` is for what has to be read.
    #[expect(clippy::option_option, reason = "not kept, and kept that there is none")]
    pub(super) fn kept(&self, token: &KnownToken) -> Option<Option<KeyFacts>> {
        let key = &token.kept()?.key;
        self.of(token.grant.format).kept_part(key, |key| *key)
    }

    /// The key of a token, as fresh as it must be.
    pub(super) async fn get(&self, token: &KnownToken, bound: Bound) -> Result<Option<KeyFacts>, IndexError> {
        match token.kept() {
            Some(keeping) => {
                let documents = self.of(token.grant.format);
                documents.part_of(&keeping.key, bound, |key| *key).await
            }
            None => Ok(None),
        }
    }

    /// A key as it is now.
    pub(super) async fn now(&self, format: TokenFormat, key_id: &str) -> Result<Option<KeyFacts>, IndexError> {
        let key = self.of(format).get(key_id, Bound::Now).await?;
        Ok(key.as_deref().copied())
    }

    /// What to hold on to.
    pub(super) fn handle(&self, format: TokenFormat, key_id: &str) -> Arc<Kept<KeyFacts>> {
        self.of(format).handle(key_id)
    }
}

impl Proven {
    pub(super) fn format(&self) -> TokenFormat {
        match self.signed {
            Some(_) => TokenFormat::Jwt,
            None => TokenFormat::Opaque,
        }
    }

    /// The name of the key: signed with the token, or in its record.
    pub(super) fn key_id(&self, record: Option<&TokenRecord>) -> String {
        match (&self.signed, record) {
            (Some(signed), _) => signed.kid.clone(),
            (None, Some(record)) => record.opaque_key_id.clone(),
            (None, None) => String::new(),
        }
    }
}

impl FactSource {
    /// A stamp of the key of a token that was judged before.
    pub(super) async fn key_stamp(&self, token: &str, record: Option<&TokenRecord>) -> Result<Stamp, IndexError> {
        let (format, key_id) = match (UnverifiedJwt::parse(token), record) {
            (Some(jwt), _) => (TokenFormat::Jwt, jwt.kid),
            (None, Some(record)) => (TokenFormat::Opaque, record.opaque_key_id.clone()),
            (None, None) => (TokenFormat::Opaque, String::new()),
        };
        self.keys.of(format).stamp(&key_id).await
    }
}

fn signing_key(key_id: &str, document: &Document) -> Result<KeyFacts, IndexError> {
    let record = SigningKeyRecord::decode(document.body.as_slice()).map_err(|_| corrupt(key_id))?;
    Ok(KeyFacts {
        withdrawn: record.withdrawn_at != 0,
    })
}

fn opaque_key(key_id: &str, document: &Document) -> Result<KeyFacts, IndexError> {
    let record = OpaqueKeyRecord::decode(document.body.as_slice()).map_err(|_| corrupt(key_id))?;
    Ok(KeyFacts {
        withdrawn: record.withdrawn_at != 0,
    })
}

fn corrupt(key_id: &str) -> IndexError {
    IndexError::Corrupt(format!("the record of the key `{}`", key_id.escape_debug()))
}
