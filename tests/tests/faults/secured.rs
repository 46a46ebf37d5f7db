//! TLS between clients and services, and clocks that can be set wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokenbind_tests::tool;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// The name that certificates are for.
const NAME: &str = "localhost";

/// The files of services that speak TLS and believe what they are told of the time.
pub(crate) struct Secured {
    authority: Issuer<'static, KeyPair>,
    authority_pem: String,
    folder: TempDir,
}

impl Secured {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority_pem = params.self_signed(&key).unwrap().pem();
        let secured = Self {
            authority: Issuer::new(params, key),
            authority_pem,
            folder: tempfile::tempdir().unwrap(),
        };
        secured.certify();
        secured.set_clock("+0s");
        secured
    }

    /// Another certificate takes the place of the one that is there, with a key of its own.
    pub(crate) fn certify(&self) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([NAME.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.put("key.pem", &key.serialize_pem());
        self.put("certificate.pem", &certificate.pem());
    }

    /// What the clocks of [`Self::with_clock`] are wrong by.
    pub(crate) fn set_clock(&self, offset: &str) {
        self.put("clock", &format!("{offset}\n"));
    }

    /// A service with the certificate.
    pub(crate) fn with_tls(&self, command: &mut Command) {
        command.arg("--tls-cert").arg(self.path("certificate.pem"));
        command.arg("--tls-key").arg(self.path("key.pem"));
    }

    /// A service whose clock can be set. Its monotonic clock is nobody's to set.
    pub(crate) fn with_clock(&self, command: &mut Command) {
        let library = tool("TOKENBIND_TEST_LIBFAKETIME", "libfaketime.so.1").unwrap();
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", self.path("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    /// A connection to such a service.
    pub(crate) fn channel(&self, address: &str) -> Channel {
        let authority = Certificate::from_pem(&self.authority_pem);
        let tls = ClientTlsConfig::new().ca_certificate(authority).domain_name(NAME);
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        endpoint.tls_config(tls).unwrap().connect_lazy()
    }

    /// Whole at any moment.
    fn put(&self, name: &str, content: &str) {
        let hidden = self.path(".next");
        fs::write(&hidden, content).unwrap();
        fs::rename(hidden, self.path(name)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}
