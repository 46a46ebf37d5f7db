//! Connections.

use std::error::Error;
use std::fs;
use std::path::Path;

use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::{ClientArgs, Outgoing};
use crate::error::CliError;

/// A connection whose calls carry what they need.
pub(crate) type Link = InterceptedService<Channel, Outgoing>;

/// How a certificate begins in PEM.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Connects to a service.
pub(crate) async fn connect(service: &'static str, url: &str, client: &ClientArgs) -> Result<Channel, CliError> {
    let invalid = |_| {
        CliError::usage_with_hint(
            format!("--{service}-url is no URL"),
            "write http://HOST:PORT, or https://HOST:PORT",
        )
    };
    let mut endpoint = Endpoint::from_shared(url.to_owned()).map_err(invalid)?;
    match endpoint.uri().scheme_str() {
        Some("http") => {}
        Some("https") => {
            let tls = tls(client)?;
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|error| CliError::usage(format!("TLS cannot be set up: {}", chain(&error))))?;
        }
        _ => {
            return Err(CliError::usage_with_hint(
                format!("--{service}-url must begin with http:// or https://"),
                "write http://HOST:PORT, or https://HOST:PORT",
            ));
        }
    }
    let connection = endpoint.connect_timeout(client.timeout).connect().await;
    connection.map_err(|error| CliError::Unreachable {
        service,
        url: url.to_owned(),
        cause: chain(&error),
    })
}

fn tls(client: &ClientArgs) -> Result<ClientTlsConfig, CliError> {
    tokenbind_runtime::tls::install_crypto_provider();
    let mut tls = ClientTlsConfig::new();
    tls = match &client.ca_cert {
        Some(path) => {
            let pem = read("--ca-cert", path)?;
            // Without one in it, no certificate at all would be good, and nobody would say why.
            if !pem.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE) {
                let why = format!("--ca-cert: {}: holds no PEM certificate", path.display());
                return Err(CliError::usage(why));
            }
            tls.ca_certificate(Certificate::from_pem(pem))
        }
        None => tls.with_native_roots(),
    };
    match (&client.client_cert, &client.client_key) {
        (None, None) => Ok(tls),
        (Some(certificate), Some(key)) => Ok(tls.identity(Identity::from_pem(
            read("--client-cert", certificate)?,
            read("--client-key", key)?,
        ))),
        _ => Err(CliError::usage("--client-cert and --client-key go together")),
    }
}

fn read(name: &str, path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|error| CliError::usage(format!("{name}: {}: {error}", path.display())))
}

/// The innermost cause says what happened; the outer ones only that something did.
fn chain(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
