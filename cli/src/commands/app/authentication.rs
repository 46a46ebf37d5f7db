//! How an application proves who it is, as options.

use std::path::PathBuf;

use clap::Args;
use tokenbind_proto::v1::certificate_name::Name;
use tokenbind_proto::v1::client_authentication::Keys;
use tokenbind_proto::v1::{CertificateName, ClientAuthentication, ClientAuthenticationMethod, WorkloadIdentity};

use crate::error::CliError;
use crate::input::Stdin;
use crate::words;

/// How an application proves who it is.
#[derive(Debug, Args)]
pub(super) struct AuthenticationArgs {
    /// How it may prove who it is; repeat it for more [default: secret]
    #[arg(long = "authentication", value_name = "METHOD", value_parser = words::authentication_methods())]
    methods: Vec<ClientAuthenticationMethod>,

    /// File with its public keys as a JWK Set, for `private_key_jwt`
    #[arg(long, value_name = "FILE", requires = "methods")]
    jwks_file: Option<PathBuf>,

    /// URL of its public keys, for `private_key_jwt`
    #[arg(long, value_name = "URL", requires = "methods", conflicts_with = "jwks_file")]
    jwks_uri: Option<String>,

    /// Name of the trusted issuer that vouches for it, for `workload_token`
    #[arg(long, value_name = "NAME", requires_all = ["methods", "workload_subject"])]
    workload_issuer: Option<String>,

    /// What that issuer calls it
    #[arg(long, value_name = "SUBJECT", requires = "workload_issuer")]
    workload_subject: Option<String>,

    /// The one URI of its certificate, such as a SPIFFE ID, for `tls_client_auth`
    #[arg(long, value_name = "URI", requires = "methods")]
    san_uri: Option<String>,

    /// A DNS name of its certificate, for `tls_client_auth`
    #[arg(long, value_name = "NAME", requires = "methods", conflicts_with = "san_uri")]
    san_dns: Option<String>,
}

/// Takes the two ways to name a certificate for one name.
pub(crate) fn certificate_name(uri: Option<String>, dns: Option<String>) -> Option<CertificateName> {
    let name = uri.map(Name::SanUri).or_else(|| dns.map(Name::SanDns))?;
    Some(CertificateName { name: Some(name) })
}

impl AuthenticationArgs {
    /// What was given, if anything was.
    pub(super) fn read(self) -> Result<Option<ClientAuthentication>, CliError> {
        if self.methods.is_empty() {
            return Ok(None);
        }
        let keys = match (self.jwks_file, self.jwks_uri) {
            (Some(path), _) => Some(Keys::JwksJson(Stdin::default().read_path(&path, "the public keys")?)),
            (None, uri) => uri.map(Keys::JwksUri),
        };
        let workload = self.workload_issuer.zip(self.workload_subject);
        Ok(Some(ClientAuthentication {
            methods: self.methods.into_iter().map(|method| method as i32).collect(),
            keys,
            certificate: certificate_name(self.san_uri, self.san_dns),
            workload: workload.map(|(trusted_issuer, subject)| WorkloadIdentity {
                trusted_issuer,
                subject,
            }),
        }))
    }
}
