//! TLS of a server, from PEM files.

use crate::config::Violations;
use clap::ValueEnum;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    fmt::{self, Display},
    fs, io,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

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
#[derive(Clone)]
pub struct ServerTls(Arc<rustls::ServerConfig>);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Shakes hands with a client.
    pub(crate) async fn accept<IO>(&self, io: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = TlsAcceptor::from(Arc::clone(&self.0)).accept(io);
        time::timeout(HANDSHAKE_TIMEOUT, handshake)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no handshake in time")))
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
        Some((mode, path)) => load_roots(path, violations).map(|roots| Some((mode, roots, path))),
    };
    install_crypto_provider();
    let (chain, private) = identity?;
    let builder = rustls::ServerConfig::builder();
    let builder = match client_ca? {
        None => builder.with_no_client_auth(),
        Some((mode, roots, path)) => {
            let verifier = WebPkiClientVerifier::builder(roots.into());
            let verifier = match mode {
                ClientAuth::Optional => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            builder.with_client_cert_verifier(record("--tls-client-ca", path, verifier.build(), violations)?)
        }
    };
    let config = builder.with_single_cert(chain, private);
    let config = config.map_err(|error| format!("does not work with {}: {error}", cert.display()));
    let mut config = record("--tls-key", key, config, violations)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(ServerTls(Arc::new(config)))
}

type CertifiedPair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn load_identity(cert: &Path, key: &Path, violations: &mut Violations) -> Option<CertifiedPair> {
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
    Some((chain?, private?))
}

fn load_roots(path: &Path, violations: &mut Violations) -> Option<RootCertStore> {
    const NAME: &str = "--tls-client-ca";
    let pem = read(NAME, path, violations)?;
    let mut roots = RootCertStore::empty();
    for certificate in parse_certificates(NAME, path, &pem, violations)? {
        record(NAME, path, roots.add(certificate), violations)?;
    }
    Some(roots)
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
