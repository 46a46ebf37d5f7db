//! Who is at the other end of a connection, by the certificate that TLS has verified.

use aws_lc_rs::digest::{SHA256, digest};
use http::Extensions;
use rustls::ServerConnection;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The certificate of a client. It comes from the TLS connection alone: no header can say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of the certificate (DER), as RFC 8705 binds tokens to it.
    pub sha256: [u8; 32],
    /// Seconds since 1970 at which it ends. A connection can live longer.
    pub not_after: i64,
    /// The DNS names of `subjectAltName`, as they stand there.
    pub dns_names: Vec<String>,
    /// The URIs of `subjectAltName`, as they stand there: a SPIFFE ID is one.
    pub uris: Vec<String>,
}

/// A name in `subjectAltName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// The one URI of the certificate.
    Uri(String),
    /// One of its DNS names.
    Dns(String),
}

impl PeerCertificate {
    /// Whether it has this name, and still lives. Of two URIs none counts: a SPIFFE ID has to be the only one.
    pub fn is(&self, name: &SubjectName, now_seconds: u64) -> bool {
        let named = match name {
            SubjectName::Uri(expected) => matches!(self.uris.as_slice(), [uri] if uri == expected),
            SubjectName::Dns(expected) => self.dns_names.iter().any(|name| name.eq_ignore_ascii_case(expected)),
        };
        named && u64::try_from(self.not_after).is_ok_and(|end| now_seconds < end)
    }

    /// Reads a certificate in DER. `None` if it is none, or holds a name twice over: which one is meant, nobody should guess.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        // An error says that there are several extensions of this kind, or that it cannot be read.
        let names = certificate.subject_alternative_name().ok()?;
        let (mut dns_names, mut uris) = (Vec::new(), Vec::new());
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                _ => {}
            }
        }
        rest.is_empty().then_some(Self {
            sha256: digest(&SHA256, der).as_ref().try_into().ok()?,
            not_after: certificate.validity().not_after.timestamp(),
            dns_names,
            uris,
        })
    }

    /// The certificate of the connection that a call came on, if its client showed one.
    pub fn of(extensions: &Extensions) -> Option<Arc<Self>> {
        extensions.get::<Arc<Self>>().map(Arc::clone)
    }

    /// The certificate that the client of a connection has shown.
    pub(crate) fn shown(connection: &ServerConnection) -> Option<Arc<Self>> {
        let leaf = connection.peer_certificates()?.first()?;
        Self::read(leaf).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_whole_name_of_a_live_certificate() {
        let text = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let of = |dns: &[&str], uris: &[&str]| PeerCertificate {
            sha256: [0; 32],
            not_after: 100,
            dns_names: text(dns),
            uris: text(uris),
        };
        let dns = SubjectName::Dns("Pod.example".to_owned());
        let uri = SubjectName::Uri("spiffe://a/b".to_owned());
        assert!(of(&["x", "pod.EXAMPLE"], &[]).is(&dns, 99));
        assert!(of(&[], &["spiffe://a/b"]).is(&uri, 99));
        for (certificate, name, now) in [
            (of(&["pod.example"], &[]), &dns, 100),
            (of(&["*.example", "pod.example.evil", "example", ""], &[]), &dns, 99),
            (of(&[], &["Pod.example"]), &dns, 99),
            (of(&["spiffe://a/b"], &[]), &uri, 99),
            (of(&[], &["spiffe://a/b", "spiffe://a/c"]), &uri, 99),
            (of(&[], &["spiffe://a/b", "spiffe://a/b"]), &uri, 99),
            (of(&[], &["spiffe://A/b"]), &uri, 99),
            (of(&[], &["spiffe://a/b/"]), &uri, 99),
            (of(&[], &[]), &uri, 99),
            (
                PeerCertificate {
                    not_after: -1,
                    ..of(&["pod.example"], &[])
                },
                &dns,
                0,
            ),
        ] {
            assert!(!certificate.is(name, now), "{certificate:?} {name:?}");
        }
    }
}
