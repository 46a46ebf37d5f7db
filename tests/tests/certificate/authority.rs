//! A certificate authority of the test's own.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;
use tonic::transport::{Certificate, Identity};

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: TempDir,
}

/// A certificate and its key.
pub(crate) struct Certified {
    pub(crate) der: Vec<u8>,
    pem: String,
    key: String,
}

impl Certified {
    /// Certificate and key, as PEM.
    pub(crate) fn pems(&self) -> (&str, &str) {
        (&self.pem, &self.key)
    }

    /// What a client comes with.
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(&self.pem, &self.key)
    }
}

impl Certified {
    /// The same with the certificate of the authority behind its own.
    pub(crate) fn with_chain(mut self, authority: &Authority) -> Self {
        self.pem += &authority.pem;
        self
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// What whoever trusts it needs.
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_pem(&self.pem)
    }

    /// The same as PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate of this DNS name.
    pub(crate) fn certify(&self, name: &str) -> Certified {
        self.certify_with(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// A certificate with these URIs, as a SPIFFE workload has one with one.
    pub(crate) fn certify_uris(&self, uris: &[&str]) -> Certified {
        let mut params = CertificateParams::new([]).unwrap();
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names = uris.collect();
        self.certify_with(&params)
    }

    /// An authority below this one.
    pub(crate) fn intermediate(&self) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn certify_with(&self, params: &CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certified {
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// The arguments of a server that lets clients come with a certificate or without.
    pub(crate) fn server_arguments(&self) -> Vec<String> {
        let own = self.certify("localhost");
        let files = [
            ("--tls-cert", &own.pem),
            ("--tls-key", &own.key),
            ("--tls-client-ca", &self.pem),
        ];
        let mut arguments = vec!["--tls-client-auth".to_owned(), "optional".to_owned()];
        for (flag, content) in files {
            let path = self.folder.path().join(flag);
            std::fs::write(&path, content).unwrap();
            arguments.extend([flag.to_owned(), path.display().to_string()]);
        }
        arguments
    }
}
