//! Who is at the other end of a connection, by the certificate that TLS has verified.

use aws_lc_rs::digest::{SHA256, digest};
use http::Extensions;
use std::sync::Arc;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
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

impl PeerCertificate {
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
        if let Some(known) = extensions.get::<Arc<Self>>() {
            return Some(Arc::clone(known));
        }
        let certificates = extensions.get::<TlsConnectInfo<TcpConnectInfo>>()?.peer_certs()?;
        Self::read(certificates.first()?).map(Arc::new)
    }
}
