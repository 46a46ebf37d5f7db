//! TLS towards a directory, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokenbind_runtime::config::Violations;
use tokenbind_runtime::tls::install_crypto_provider;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// The names of the flags, as errors tell them.
pub(super) const CA: &str = "--user-directory-ca";
const CERT: &str = "--user-directory-cert";
const KEY: &str = "--user-directory-key";

/// What was read and found usable.
#[derive(Clone)]
pub(super) struct DirectoryTls {
    ca_pem: Vec<u8>,
    identity_pem: Option<(Vec<u8>, Vec<u8>)>,
    config: Arc<ClientConfig>,
}

impl DirectoryTls {
    /// Reads and proves the files, or records what is wrong with which.
    pub(super) fn load(ca: &Path, identity: Option<(&Path, &Path)>, violations: &mut Violations) -> Option<Self> {
        install_crypto_provider();
        let ca_pem = read(CA, ca, violations)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(CA, &ca_pem, violations)? {
            violations.record(CA, roots.add(certificate))?;
        }
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let (config, identity_pem) = match identity {
            None => (builder.with_no_client_auth(), None),
            Some((cert, key)) => {
                let cert_pem = read(CERT, cert, violations);
                let key_pem = read(KEY, key, violations);
                let (cert_pem, key_pem) = (cert_pem?, key_pem?);
                let chain = certificates(CERT, &cert_pem, violations);
                let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| "holds no PEM private key");
                let private = violations.record(KEY, private);
                let config = builder.with_client_auth_cert(chain?, private?);
                (violations.record(KEY, config)?, Some((cert_pem, key_pem)))
            }
        };
        Some(Self {
            ca_pem,
            identity_pem,
            config: Arc::new(config),
        })
    }

    pub(super) fn for_tonic(&self) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca_pem));
        match &self.identity_pem {
            Some((cert, key)) => tls.identity(Identity::from_pem(cert, key)),
            None => tls,
        }
    }

    pub(super) fn for_rustls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

impl std::fmt::Debug for DirectoryTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirectoryTls(..)")
    }
}

/// Certificate and key, both or none.
pub(super) fn identity<'a>(
    cert: Option<&'a PathBuf>,
    key: Option<&'a PathBuf>,
    violations: &mut Violations,
) -> Option<(&'a Path, &'a Path)> {
    match (cert, key) {
        (Some(cert), Some(key)) => return Some((cert, key)),
        (Some(_), None) => violations.push(CERT, format_args!("needs {KEY} with it")),
        (None, Some(_)) => violations.push(KEY, format_args!("needs {CERT} with it")),
        (None, None) => {}
    }
    None
}

fn certificates(name: &str, pem: &[u8], violations: &mut Violations) -> Option<Vec<CertificateDer<'static>>> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = parsed.ok().filter(|certificates| !certificates.is_empty());
    violations.record(name, certificates.ok_or("holds no PEM certificate"))
}

fn read(name: &str, path: &Path, violations: &mut Violations) -> Option<Vec<u8>> {
    let content = std::fs::read(path).map_err(|problem| format!("{}: {problem}", path.display()));
    violations.record(name, content)
}
