//! What all issuers know of a key, in the index: that it is there, and from when on it is used.

use prost::Message as _;
use tokenbind_index::{DocumentKind, Entropy};
use tokenbind_proto::index::v1::{OpaqueKeyRecord, SigningKeyRecord};

use super::ring::Key;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::opaque::OpaqueKey;
use crate::signing::SigningKey;

/// From when on a key is used, and when whatever depends on it is over. Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) use_from: i64,
    pub(super) expires_at: i64,
}

/// What a document says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Good(Life),
    /// For good: the document stays, so that no issuer that still holds the key publishes it again.
    Withdrawn,
}

impl State {
    fn of(life: Life, withdrawn_at: i64) -> Self {
        if withdrawn_at == 0 {
            Self::Good(life)
        } else {
            Self::Withdrawn
        }
    }
}

/// A key that has a document in the index.
pub(super) trait Shared: Key {
    /// What it is called in the log and in metrics.
    const WORD: &'static str;
    /// Where its documents are.
    const KIND: DocumentKind;

    /// The document.
    fn record(&self, issuer_url: &str, life: Life) -> Vec<u8>;

    /// A new one, that only this process has.
    fn generate(entropy: &dyn Entropy) -> Result<Self, IssuerError>
    where
        Self: Sized;

    /// Makes the file of a new one, that becomes the newest, where this issuer makes such files. The answer says whether it does.
    fn make_file(_issuer: &Issuer) -> Result<bool, IssuerError> {
        Ok(false)
    }

    /// What a document says; `None` for one of another `iss`, in whose way the key must not come.
    fn read(body: &[u8], issuer_url: &str) -> Result<Option<State>, IssuerError>;

    /// The document of a key that was withdrawn, from the one before if there is one.
    fn withdrawn(before: Option<&[u8]>, issuer_url: &str, at: i64) -> Result<Vec<u8>, IssuerError>;

    /// Why this cannot be the key of a document under its name.
    fn conflict(&self, body: &[u8], issuer_url: &str) -> Result<Option<String>, IssuerError>;
}

impl Shared for SigningKey {
    const WORD: &'static str = "signing";
    const KIND: DocumentKind = DocumentKind::SigningKey;

    fn record(&self, issuer_url: &str, life: Life) -> Vec<u8> {
        let record = SigningKeyRecord {
            jwk_json: self.public_jwk().to_string(),
            issuer: issuer_url.to_owned(),
            expires_at: life.expires_at,
            use_from: life.use_from,
            withdrawn_at: 0,
        };
        record.encode_to_vec()
    }

    fn generate(entropy: &dyn Entropy) -> Result<Self, IssuerError> {
        crate::signing::generate(entropy)
    }

    fn make_file(issuer: &Issuer) -> Result<bool, IssuerError> {
        let Some(timer) = &issuer.rotation else {
            return Ok(false);
        };
        let made = timer.make_next(issuer);
        made.map_err(|error| IssuerError::Internal(error.to_string()))?;
        Ok(true)
    }

    fn read(body: &[u8], issuer_url: &str) -> Result<Option<State>, IssuerError> {
        let record = signing_record(body)?;
        let life = Life {
            use_from: record.use_from,
            expires_at: record.expires_at,
        };
        Ok((record.issuer == issuer_url).then(|| State::of(life, record.withdrawn_at)))
    }

    fn withdrawn(before: Option<&[u8]>, issuer_url: &str, at: i64) -> Result<Vec<u8>, IssuerError> {
        let before = before.map(signing_record).transpose()?.unwrap_or_default();
        let record = SigningKeyRecord {
            issuer: issuer_url.to_owned(),
            expires_at: at,
            withdrawn_at: at,
            ..before
        };
        Ok(record.encode_to_vec())
    }

    /// A key signs for one `iss` alone, or a token of one issuer would be good at the validators of another.
    fn conflict(&self, body: &[u8], issuer_url: &str) -> Result<Option<String>, IssuerError> {
        let record = signing_record(body)?;
        Ok((record.issuer != issuer_url).then(|| {
            format!(
                "the signing key {} is published for the issuer {}, not for {issuer_url}: use another key or the same --issuer",
                self.id(),
                record.issuer,
            )
        }))
    }
}

impl Shared for OpaqueKey {
    const WORD: &'static str = "opaque";
    const KIND: DocumentKind = DocumentKind::OpaqueKey;

    fn record(&self, _: &str, life: Life) -> Vec<u8> {
        let record = OpaqueKeyRecord {
            check: self.check().to_vec(),
            expires_at: life.expires_at,
            use_from: life.use_from,
            withdrawn_at: 0,
        };
        record.encode_to_vec()
    }

    fn generate(entropy: &dyn Entropy) -> Result<Self, IssuerError> {
        Ok(Self::of(entropy))
    }

    fn read(body: &[u8], _: &str) -> Result<Option<State>, IssuerError> {
        let record = opaque_record(body)?;
        let life = Life {
            use_from: record.use_from,
            expires_at: record.expires_at,
        };
        Ok(Some(State::of(life, record.withdrawn_at)))
    }

    fn withdrawn(before: Option<&[u8]>, _: &str, at: i64) -> Result<Vec<u8>, IssuerError> {
        let before = before.map(opaque_record).transpose()?.unwrap_or_default();
        let record = OpaqueKeyRecord {
            expires_at: at,
            withdrawn_at: at,
            ..before
        };
        Ok(record.encode_to_vec())
    }

    /// Under one name issuers must mean one key: otherwise one could not derive again what another issued.
    fn conflict(&self, body: &[u8], _: &str) -> Result<Option<String>, IssuerError> {
        let record = opaque_record(body)?;
        Ok((record.check != self.check()).then(|| {
            format!(
                "other issuers have another opaque key of the name {}: give every issuer the same files, and each key a name of its own",
                self.id()
            )
        }))
    }
}

fn opaque_record(body: &[u8]) -> Result<OpaqueKeyRecord, IssuerError> {
    OpaqueKeyRecord::decode(body).map_err(|error| unreadable(&error))
}

/// What is published of a key that signs.
pub(super) fn signing_record(body: &[u8]) -> Result<SigningKeyRecord, IssuerError> {
    SigningKeyRecord::decode(body).map_err(|error| unreadable(&error))
}

fn unreadable(error: &prost::DecodeError) -> IssuerError {
    IssuerError::Internal(format!("a published key cannot be read: {error}"))
}
