//! What goes along with each call.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_runtime::trace_context;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::error::CliError;

/// What the form encoding leaves as it is (RFC 6749, appendix B).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// `authorization` of a call.
#[derive(Clone, Debug)]
pub(crate) enum Authorization {
    /// No credentials in the metadata.
    None,
    /// An application or a resource (RFC 6749, section 2.3.1).
    Basic {
        /// Who.
        id: String,
        /// The proof.
        secret: SecretString,
    },
    /// A token (RFC 6750, section 2.1).
    Bearer(SecretString),
}

impl Authorization {
    fn value(&self) -> Result<Option<MetadataValue<Ascii>>, CliError> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic { id, secret } => format!("Basic {}", STANDARD.encode(joined(id, secret.expose_secret()))),
            Self::Bearer(token) => format!("Bearer {}", token.expose_secret()),
        };
        let mut value: MetadataValue<Ascii> = text
            .parse()
            .map_err(|_| CliError::usage("the credentials hold characters that no credentials have"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn joined(id: &str, secret: &str) -> String {
    format!(
        "{}:{}",
        utf8_percent_encode(id, FORM),
        utf8_percent_encode(secret, FORM)
    )
}

/// Puts the credentials, the deadline and the trace on every call.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    authorization: Option<MetadataValue<Ascii>>,
    timeout: Duration,
}

impl Outgoing {
    /// For calls with these credentials that are given up after `timeout`.
    pub(crate) fn new(authorization: &Authorization, timeout: Duration) -> Result<Self, CliError> {
        Ok(Self {
            authorization: authorization.value()?,
            timeout,
        })
    }
}

impl Interceptor for Outgoing {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.set_timeout(self.timeout);
        let metadata = request.metadata_mut();
        if let Some(authorization) = &self.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        trace_context::inject(metadata);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use tokenbind_runtime::credentials::Credentials;

    use super::*;

    fn sent(authorization: &Authorization) -> Request<()> {
        let mut outgoing = Outgoing::new(authorization, Duration::from_secs(3)).unwrap();
        outgoing.call(Request::new(())).unwrap()
    }

    #[test]
    fn what_is_sent_as_basic_is_what_a_server_reads() {
        for (id, secret) in [("shop-jwt", "tbs_a-_9"), ("a:b c", "p%+ü\u{1}:")] {
            let request = sent(&Authorization::Basic {
                id: id.to_owned(),
                secret: secret.into(),
            });
            let read = Credentials::from_metadata(request.metadata()).unwrap().unwrap();
            let Credentials::Basic {
                id: read_id,
                secret: read,
            } = read
            else {
                panic!("not Basic")
            };
            assert_eq!((read_id.as_str(), read.expose_secret()), (id, secret));
        }
    }

    #[test]
    fn a_call_carries_its_deadline_and_hides_its_token() {
        let request = sent(&Authorization::Bearer("tbo_x".into()));
        assert!(request.metadata().contains_key("grpc-timeout"));
        assert!(!format!("{:?}", request.metadata()).contains("tbo_x"));
    }

    #[test]
    fn a_token_with_a_line_break_is_refused() {
        assert!(Outgoing::new(&Authorization::Bearer("a\nb".into()), Duration::from_secs(1)).is_err());
    }
}
