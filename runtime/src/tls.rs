//! TLS of a server, from PEM files.

use crate::config::Violations;
use clap::ValueEnum;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{fmt::Display, fs, path::Path, time::Duration};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// A handshake takes two round trips; whoever needs longer than this is not a client.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether clients present a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientAuth {
    /// They are not asked for one.
    None,
    /// They may; one that does not verify is refused.
    Optional,
    /// They must.
    Required,
}

/// The TLS of a server: certificate, key and what is asked of clients. Formats without its content.
#[derive(Debug, Clone)]
pub struct ServerTls(ServerTlsConfig);

impl ServerTls {
    pub(crate) fn into_tonic(self) -> ServerTlsConfig {
        self.0
    }
}

/// Makes sure that rustls has a cryptography provider, whatever else is linked into the process.
pub fn install_crypto_provider() {
    // An error says that there is one already, which is what we want.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Reads and proves the files, or records which of them is wrong and why.
pub(crate) fn load(
    cert: &Path,
    key: &Path,
    client_ca: Option<(ClientAuth, &Path)>,
    violations: &mut Violations,
) -> Option<ServerTls> {
    let identity = load_identity(cert, key, violations);
    let client_ca = match client_ca {
        None => Some(None),
        Some((mode, path)) => load_roots(path, violations).map(|roots| Some((mode, roots))),
    };
    let mut tls = ServerTlsConfig::new().identity(identity?).timeout(HANDSHAKE_TIMEOUT);
    if let Some((mode, roots)) = client_ca? {
        tls = tls
            .client_ca_root(roots)
            .client_auth_optional(mode == ClientAuth::Optional);
    }
    Some(ServerTls(tls))
}

fn load_identity(cert: &Path, key: &Path, violations: &mut Violations) -> Option<Identity> {
    let cert_pem = read("--tls-cert", cert, violations);
    let key_pem = read("--tls-key", key, violations);
    let chain = parse_certificates("--tls-cert", cert, cert_pem.as_deref()?, violations);
    let private = PrivateKeyDer::from_pem_slice(key_pem.as_deref()?);
    let private = record(
        "--tls-key",
        key,
        private.map_err(|_| "holds no PEM private key"),
        violations,
    );
    install_crypto_provider();
    // tonic would do the same when it starts to serve, but could not say which file is wrong.
    let proof = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain?, private?);
    let proof = proof.map_err(|error| format!("does not work with {}: {error}", cert.display()));
    record("--tls-key", key, proof, violations)?;
    Some(Identity::from_pem(cert_pem?, key_pem?))
}

fn load_roots(path: &Path, violations: &mut Violations) -> Option<Certificate> {
    const NAME: &str = "--tls-client-ca";
    let pem = read(NAME, path, violations)?;
    let mut roots = RootCertStore::empty();
    for certificate in parse_certificates(NAME, path, &pem, violations)? {
        // tonic would skip a bad one in silence.
        record(NAME, path, roots.add(certificate), violations)?;
    }
    Some(Certificate::from_pem(pem))
}

fn parse_certificates(
    name: &str,
    path: &Path,
    pem: &[u8],
    violations: &mut Violations,
) -> Option<Vec<CertificateDer<'static>>> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = parsed.ok().filter(|certificates| !certificates.is_empty());
    record(name, path, certificates.ok_or("holds no PEM certificate"), violations)
}

fn read(name: &str, path: &Path, violations: &mut Violations) -> Option<Vec<u8>> {
    record(name, path, fs::read(path), violations)
}

fn record<T>(name: &str, path: &Path, result: Result<T, impl Display>, violations: &mut Violations) -> Option<T> {
    violations.record(name, result.map_err(|problem| format!("{}: {problem}", path.display())))
}
