//! Tokens that are bound to the client certificate of the connection (RFC 8705).

use std::fs;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokenbind_proto::v1::BindingType;
use tokenbind_runtime::config::{ServerArgs, Violations};
use tokenbind_runtime::tls::ServerTls;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::support::{asked, fields, issue, serve};

#[derive(clap::Parser)]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

struct Issued {
    der: Vec<u8>,
    pem: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    fn issue(&self, name: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        Issued {
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A server that lets clients come with a certificate or without.
    fn server(&self) -> ServerTls {
        let folder = tempfile::tempdir().unwrap();
        let own = self.issue("localhost");
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let (cert, key) = (file("cert", &own.pem), file("key", &own.key));
        let ca = file("ca", &self.certificate);
        let args = [
            "test",
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
            "--tls-client-ca",
            &ca,
            "--tls-client-auth",
            "optional",
        ];
        let mut violations = Violations::new();
        let config = Args::parse_from(args)
            .server
            .check(([127, 0, 0, 1], 0).into(), &mut violations);
        violations.finish(config).unwrap().tls.unwrap()
    }

    async fn connect(&self, address: std::net::SocketAddr, client: Option<&Issued>) -> Channel {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.certificate))
            .domain_name("localhost");
        let tls = match client {
            Some(client) => tls.identity(Identity::from_pem(&client.pem, &client.key)),
            None => tls,
        };
        let endpoint = Channel::from_shared(format!("https://{address}"))
            .unwrap()
            .tls_config(tls)
            .unwrap();
        endpoint.connect().await.unwrap()
    }
}

fn claims(token: &str) -> serde_json::Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn c53_a_token_names_the_certificate_of_its_connection() {
    let authority = Authority::new();
    let address = serve(Some(authority.server())).await;
    let (first, second) = (authority.issue("first"), authority.issue("second"));

    let without = authority.connect(address, None).await;
    let status = issue(&without, asked("mtls", "")).await.unwrap_err();
    assert_eq!(fields(&status), ["client_certificate"]);
    issue(&without, asked("shop", "")).await.unwrap();

    let mut references = Vec::new();
    for client in [&first, &second] {
        let channel = authority.connect(address, Some(client)).await;
        let token = issue(&channel, asked("mtls", "")).await.unwrap();
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &client.der));
        assert_eq!(claims(&token.access_token)["cnf"]["x5t#S256"], thumbprint);
        let binding = token.binding.unwrap();
        assert_eq!(binding.r#type(), BindingType::Certificate);
        assert!(!token.superseded);
        references.push(binding.r#ref);
    }
    assert_ne!(references[0], references[1]);
}
