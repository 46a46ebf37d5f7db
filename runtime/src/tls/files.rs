//! Reads the files of a server's TLS and proves that they fit together.

use super::{ClientAuth, install_crypto_provider};
use crate::config::Violations;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs::Ticketer,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, ServerConfig as Config, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What may be spoken inside, the preferred first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where everything is.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<(ClientAuth, PathBuf)>,
}

/// What the files say.
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// When the server's own certificate ends, in seconds since 1970.
    pub(super) not_after: i64,
    not_before: i64,
}

impl Loaded {
    /// Whether the server's certificate is good at this moment, as far as its time can be told.
    pub(super) fn is_of_now(&self) -> bool {
        let now = self.config.time_provider.current_time();
        let now = now.and_then(|now| i64::try_from(now.as_secs()).ok());
        now.is_none_or(|now| self.not_before <= now && (self.not_after == 0 || now < self.not_after))
    }
}

impl Files {
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let client_ca = self.client_ca.as_ref().map(|(_, path)| path.clone());
        [self.cert.clone(), self.key.clone()].into_iter().chain(client_ca)
    }

    /// Reads and proves the files, or records which of them is wrong and why.
    pub(super) fn load(&self, violations: &mut Violations) -> Option<Loaded> {
        install_crypto_provider();
        let chain = certificates("--tls-cert", &self.cert, violations);
        let key = read("--tls-key", &self.key, violations).and_then(|pem| {
            let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| "holds no PEM private key");
            record("--tls-key", &self.key, key, violations)
        });
        let verifier = self.verifier(violations);
        let (chain, key, verifier) = (chain?, key?, verifier?);
        let (not_before, not_after) = validity(&chain);
        let builder = ServerConfig::builder();
        let builder = match verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let config = builder
            .with_single_cert(chain, key)
            .map_err(|error| format!("does not work with {}: {error}", self.cert.display()));
        let mut config = record("--tls-key", &self.key, config, violations)?;
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        self.resume(&mut config, violations)?;
        Some(Loaded {
            config: Arc::new(config),
            not_after,
            not_before,
        })
    }

    /// Tickets spare whoever comes back half of the handshake. Where certificates say who a client is there are none: a resumed
    /// session would not be looked at again, though its certificate may have ended since.
    fn resume(&self, config: &mut Config, violations: &mut Violations) -> Option<()> {
        if self.client_ca.is_none() {
            config.ticketer = record("--tls-cert", &self.cert, Ticketer::new(), violations)?;
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Some(())
    }

    /// The outer `None` means violations, the inner one that clients are not asked.
    #[expect(clippy::option_option, reason = "the two mean different things, and only here")]
    fn verifier(&self, violations: &mut Violations) -> Option<Option<Arc<dyn ClientCertVerifier>>> {
        const NAME: &str = "--tls-client-ca";
        let Some((mode, path)) = &self.client_ca else {
            return Some(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(NAME, path, violations)? {
            record(NAME, path, roots.add(certificate), violations)?;
        }
        let mut verifier = WebPkiClientVerifier::builder(Arc::new(roots));
        if *mode == ClientAuth::Optional {
            verifier = verifier.allow_unauthenticated();
        }
        record(NAME, path, verifier.build(), violations).map(Some)
    }
}

/// 0 where it cannot be told: rustls takes certificates that others cannot read.
fn validity(chain: &[CertificateDer<'_>]) -> (i64, i64) {
    let leaf = chain.first().and_then(|leaf| X509Certificate::from_der(leaf).ok());
    leaf.map_or((0, 0), |(_, leaf)| {
        let validity = leaf.validity();
        (validity.not_before.timestamp(), validity.not_after.timestamp())
    })
}

fn certificates(name: &str, path: &Path, violations: &mut Violations) -> Option<Vec<CertificateDer<'static>>> {
    let pem = read(name, path, violations)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = parsed.ok().filter(|certificates| !certificates.is_empty());
    record(name, path, certificates.ok_or("holds no PEM certificate"), violations)
}

fn read(name: &str, path: &Path, violations: &mut Violations) -> Option<Vec<u8>> {
    record(name, path, fs::read(path), violations)
}

fn record<T>(name: &str, path: &Path, result: Result<T, impl Display>, violations: &mut Violations) -> Option<T> {
    violations.record(name, result.map_err(|problem| format!("{}: {problem}", path.display())))
}
