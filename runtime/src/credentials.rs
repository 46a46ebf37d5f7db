//! The credentials that come in gRPC metadata.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Extensions;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tonic::metadata::MetadataMap;

use crate::tls::PeerCertificate;

/// What `authorization` said.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// RFC 6749, section 2.3.1: id and secret, both form-encoded before they are joined.
    Basic {
        /// Who.
        id: String,
        /// The proof.
        secret: SecretString,
    },
    /// RFC 6750, section 2.1.
    Bearer(SecretString),
    /// The certificate of the connection. `Basic` without a secret says whose it is to be.
    Certificate {
        /// Who.
        id: String,
        /// The proof.
        certificate: Arc<PeerCertificate>,
    },
}

/// `authorization` cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CredentialsError {
    /// It came more than once, also when a proxy joined the values by a comma.
    #[error("`authorization` must not be repeated")]
    Repeated,
    /// It is not `Basic` or `Bearer` with a value of that scheme.
    #[error("`authorization` must be `Basic` with base64 of `id:secret`, or `Bearer` with a token")]
    Malformed,
}

/// The bytes of `authorization`, before it is known what they say; `None` where there is none.
///
/// # Errors
/// It came more than once.
pub fn presented(metadata: &MetadataMap) -> Result<Option<&[u8]>, CredentialsError> {
    let mut values = metadata.get_all("authorization").iter();
    let value = values.next().map(tonic::metadata::AsciiMetadataValue::as_encoded_bytes);
    match values.next() {
        None => Ok(value),
        Some(_) => Err(CredentialsError::Repeated),
    }
}

impl Credentials {
    /// Reads `authorization`; `None` where there is none.
    pub fn from_metadata(metadata: &MetadataMap) -> Result<Option<Self>, CredentialsError> {
        presented(metadata)?.map(Self::parse).transpose()
    }

    /// The certificate of the connection for the proof of being this one; `None` where either is missing.
    pub fn certificate(id: String, extensions: &Extensions) -> Option<Self> {
        let certificate = PeerCertificate::of(extensions).filter(|_| !id.is_empty())?;
        Some(Self::Certificate { id, certificate })
    }

    /// Takes the certificate of the connection for the proof where there is no secret.
    #[must_use]
    pub fn or_certificate(self, extensions: &Extensions) -> Self {
        match self {
            Self::Basic { id, secret } if secret.expose_secret().is_empty() => match PeerCertificate::of(extensions) {
                Some(certificate) => Self::Certificate { id, certificate },
                None => Self::Basic { id, secret },
            },
            other => other,
        }
    }

    /// Reads the value of `authorization`.
    ///
    /// # Errors
    /// It is not one that is understood.
    pub fn parse(value: &[u8]) -> Result<Self, CredentialsError> {
        let value = std::str::from_utf8(value).map_err(|_| CredentialsError::Malformed)?;
        // No scheme of ours has a comma in its value, so a comma is a second value that something joined.
        if value.contains(',') {
            return Err(CredentialsError::Repeated);
        }
        let (scheme, rest) = value.split_once(' ').ok_or(CredentialsError::Malformed)?;
        let rest = rest.trim_start_matches(' ');
        if scheme.eq_ignore_ascii_case("basic") {
            return basic(rest).ok_or(CredentialsError::Malformed);
        }
        if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() && !rest.contains(' ') {
            return Ok(Self::Bearer(rest.into()));
        }
        Err(CredentialsError::Malformed)
    }
}

fn basic(encoded: &str) -> Option<Credentials> {
    let joined = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some(Credentials::Basic {
        id: form_decode(id)?,
        secret: form_decode(secret)?.into(),
    })
}

/// Undoes `application/x-www-form-urlencoded`; `None` if that gives no UTF-8.
pub(crate) fn form_decode(value: &str) -> Option<String> {
    let spaced = value.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<Credentials>, CredentialsError> {
        let mut metadata = MetadataMap::new();
        for value in values {
            metadata.append("authorization", value.parse().unwrap());
        }
        Credentials::from_metadata(&metadata)
    }

    #[test]
    fn basic_is_form_decoded_rfc_6749_2_3_1() {
        let value = format!("Basic {}", STANDARD.encode("shop%3A1:a+b%2Bc"));
        let Ok(Some(Credentials::Basic { id, secret })) = read(&[&value]) else {
            panic!("not Basic")
        };
        assert_eq!((id.as_str(), secret.expose_secret()), ("shop:1", "a b+c"));
    }

    #[test]
    fn the_scheme_is_case_insensitive() {
        assert!(matches!(read(&["bEaReR abc"]), Ok(Some(Credentials::Bearer(_)))));
    }

    #[test]
    fn repeated_is_refused_a10() {
        assert_eq!(read(&["Bearer a", "Bearer b"]).unwrap_err(), CredentialsError::Repeated);
        assert_eq!(read(&["Bearer a, Bearer b"]).unwrap_err(), CredentialsError::Repeated);
    }

    #[test]
    fn anything_else_is_malformed() {
        for value in [
            "",
            "Basic",
            "Bearer ",
            "Basic !!!",
            "Basic bm9jb2xvbg==",
            "Digest abc",
            "Bearer a b",
        ] {
            assert_eq!(read(&[value]).unwrap_err(), CredentialsError::Malformed, "{value:?}");
        }
        assert!(read(&[]).unwrap().is_none());
    }
}
