//! A Redis that speaks TLS, with an authority of its own.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::redis_server::{RedisServer, free_port};

/// Certificates in files: an authority, a server's and a client's.
#[derive(Debug)]
pub struct RedisCertificates {
    folder: TempDir,
}

impl RedisCertificates {
    /// New ones.
    pub fn new() -> Self {
        let certificates = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        certificates.renew();
        certificates
    }

    /// Replaces all of them by those of another authority.
    pub fn renew(&self) {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose issuer has its own name for one that signs itself.
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&key).expect("a certificate");
        write(&self.authority(), &authority.pem());
        let issuer = Issuer::new(params, key);
        for name in ["server", "client"] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate");
            write(&self.path(name, "crt"), &certificate.pem());
            write(&self.path(name, "key"), &key.serialize_pem());
        }
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.path("ca", "crt")
    }

    /// What a client comes with: certificate and key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.path("client", "crt"), self.path("client", "key"))
    }

    /// The settings of a server that speaks TLS at this port. `--tls-auth-clients` is for the caller to add.
    pub fn server_settings(&self, tls_port: u16) -> Vec<String> {
        [
            ("--tls-port", tls_port.to_string()),
            ("--tls-cert-file", self.path("server", "crt").display().to_string()),
            ("--tls-key-file", self.path("server", "key").display().to_string()),
            ("--tls-ca-cert-file", self.authority().display().to_string()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    /// The same of a server that talks to its like over TLS too, and takes nobody without a certificate.
    pub(crate) fn member_settings(&self, tls_port: u16) -> Vec<String> {
        let mut settings = self.server_settings(tls_port);
        settings.extend(["--tls-replication", "yes", "--tls-auth-clients", "yes"].map(str::to_owned));
        settings
    }

    /// How a service shows who it is, and knows whom to believe.
    pub fn service_arguments(&self) -> Vec<String> {
        let (certificate, key) = self.client();
        [
            ("--redis-ca", self.authority()),
            ("--redis-cert", certificate),
            ("--redis-key", key),
        ]
        .into_iter()
        .flat_map(|(flag, path)| [flag.to_owned(), path.display().to_string()])
        .collect()
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{kind}"))
    }
}

impl Default for RedisCertificates {
    fn default() -> Self {
        Self::new()
    }
}

/// A server that speaks TLS; the test itself talks to it without. Gone when dropped.
#[derive(Debug)]
pub struct RedisTls {
    /// Its certificates.
    pub certificates: RedisCertificates,
    /// The server.
    pub server: RedisServer,
    port: u16,
}

impl RedisTls {
    /// Starts it. With `client_certificate`, it takes nobody without one.
    pub fn start(client_certificate: bool) -> Self {
        let certificates = RedisCertificates::new();
        let port = free_port();
        let mut settings = certificates.server_settings(port);
        let wanted = if client_certificate { "yes" } else { "no" };
        settings.extend(["--tls-auth-clients".to_owned(), wanted.to_owned()]);
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        Self {
            server: RedisServer::start_with(&settings),
            certificates,
            port,
        }
    }

    /// `rediss://…` of the server.
    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }

    /// The port that speaks TLS.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn write(path: &Path, content: &str) {
    std::fs::write(path, content).expect("a file in a temporary folder");
}
