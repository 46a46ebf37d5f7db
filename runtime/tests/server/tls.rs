//! TLS, with certificates made on the spot.

use crate::support::{Client, Server, assert_works, config, until, within};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokenbind_runtime::{
    config::{ServerArgs, ServerConfig, Violations},
    tls::PeerCertificate,
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

#[derive(clap::Parser)]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

/// A certificate authority, and files of what it issued.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            folder: TempDir::new().unwrap(),
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The settings of a server that this authority has issued a certificate to.
    fn settings(&self, more: &[String]) -> Vec<String> {
        let (cert, key) = self.issue("localhost");
        let cert = self.file("server.pem", &cert);
        let key = self.file("server.key", &key);
        let pair = [
            format!("--tls-cert={}", cert.display()),
            format!("--tls-key={}", key.display()),
        ];
        [pair.as_slice(), more].concat()
    }

    fn client_auth(&self, mode: &str) -> Vec<String> {
        let ca = self.file("ca.pem", &self.certificate);
        self.settings(&[
            format!("--tls-client-ca={}", ca.display()),
            format!("--tls-client-auth={mode}"),
        ])
    }

    fn client_tls(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.certificate))
            .domain_name("localhost")
    }
}

fn check(settings: &[String]) -> Result<ServerConfig, Violations> {
    let settings = ["test".to_owned()].into_iter().chain(settings.iter().cloned());
    let args = <Args as clap::Parser>::try_parse_from(settings).unwrap();
    let mut violations = Violations::new();
    let config = args.server.check(([127, 0, 0, 1], 0).into(), &mut violations);
    violations.finish(config)
}

async fn start(settings: &[String]) -> Server {
    let tls = check(settings).unwrap().tls;
    assert!(tls.is_some());
    Server::start(ServerConfig { tls, ..config() }).await
}

/// Whether a client with these settings is let in.
async fn is_let_in(server: &Server, tls: ClientTlsConfig) -> bool {
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address))
        .unwrap()
        .tls_config(tls)
        .unwrap();
    match within(endpoint.connect()).await {
        // A refused client certificate only shows when the first call is made.
        Ok(channel) => Client(channel).call("Echo", "").await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_serves_tls_only() {
    let authority = Authority::new();
    let server = start(&authority.settings(&[])).await;
    assert!(is_let_in(&server, authority.client_tls()).await);
    assert!(
        !is_let_in(&server, Authority::new().client_tls()).await,
        "the client trusts another authority"
    );
    if let Ok(plain) = server.try_client().await {
        plain.call("Echo", "").await.unwrap_err();
    }
    assert!(is_let_in(&server, authority.client_tls()).await);
}

#[tokio::test]
async fn the_address_of_the_peer_is_known_under_tls() {
    let authority = Authority::new();
    let server = start(&authority.settings(&[])).await;
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).unwrap();
    let client = Client(
        endpoint
            .tls_config(authority.client_tls())
            .unwrap()
            .connect()
            .await
            .unwrap(),
    );
    assert!(client.call("Peer", "").await.unwrap().starts_with("127.0.0.1:"));
    assert_works(&client).await;
}

#[tokio::test]
async fn client_certificates_are_asked_for_as_configured() {
    let authority = Authority::new();
    let identity = |(cert, key): (String, String)| Identity::from_pem(cert, key);
    let trusted = authority.client_tls().identity(identity(authority.issue("client")));
    let stranger = authority
        .client_tls()
        .identity(identity(Authority::new().issue("client")));

    for (mode, without_certificate) in [("required", false), ("optional", true)] {
        let server = start(&authority.client_auth(mode)).await;
        assert!(!is_let_in(&server, stranger.clone()).await, "{mode}");
        assert_eq!(
            is_let_in(&server, authority.client_tls()).await,
            without_certificate,
            "{mode}"
        );
        assert!(is_let_in(&server, trusted.clone()).await, "{mode}");
    }
}

#[test]
fn a_bad_file_is_named() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost");
    let (_, other_key) = authority.issue("localhost");
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases = [
        (cert.as_str(), "no key", "--tls-key", "server.key"),
        (cert.as_str(), other_key.as_str(), "--tls-key", "server.key"),
        (cert.as_str(), cert.as_str(), "--tls-key", "server.key"),
        ("no certificate", key.as_str(), "--tls-cert", "server.pem"),
        (key.as_str(), key.as_str(), "--tls-cert", "server.pem"),
        (no_certificate, key.as_str(), "--tls-key", "server.pem"),
    ];
    for (cert, key, setting, file) in cases {
        let settings = authority.settings(&[]);
        authority.file("server.pem", cert);
        authority.file("server.key", key);
        let violations = check(&settings).unwrap_err().to_string();
        assert!(
            violations.starts_with(setting) && violations.contains(file),
            "{violations}"
        );
        assert!(!violations.contains("PRIVATE"), "{violations}");
    }

    let settings = authority.client_auth("required");
    authority.file("ca.pem", no_certificate);
    let violations = check(&settings).unwrap_err().to_string();
    assert!(
        violations.starts_with("--tls-client-ca") && violations.contains("ca.pem"),
        "{violations}"
    );
}

#[test]
fn a_key_is_never_shown() {
    let authority = Authority::new();
    let config = check(&authority.client_auth("required")).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("PRIVATE") && shown.len() < 1000, "{shown}");
}

/// Puts a pair in place of the old one, as cert-manager does through a mounted Kubernetes secret: all at once.
fn replace(folder: &Path, version: &str, (cert, key): &(String, String)) {
    let at = |name: &str| folder.join(name);
    fs::create_dir(at(version)).unwrap();
    fs::write(at(version).join("tls.crt"), cert).unwrap();
    fs::write(at(version).join("tls.key"), key).unwrap();
    symlink(version, at("..new")).unwrap();
    fs::rename(at("..new"), at("..data")).unwrap();
}

#[tokio::test]
async fn certificates_are_replaced_without_a_failed_call() {
    let (old, new) = (Authority::new(), Authority::new());
    let folder = TempDir::new().unwrap();
    replace(folder.path(), "..1", &old.issue("localhost"));
    for file in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{file}"), folder.path().join(file)).unwrap();
    }
    let path = |file: &str| folder.path().join(file).display().to_string();
    let server = start(&[
        format!("--tls-cert={}", path("tls.crt")),
        format!("--tls-key={}", path("tls.key")),
    ])
    .await;
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).unwrap();
    let channel = endpoint.tls_config(old.client_tls()).unwrap().connect().await.unwrap();
    let client = Client(channel);
    assert!(!is_let_in(&server, new.client_tls()).await);

    replace(folder.path(), "..2", &new.issue("localhost"));
    until(async || {
        // The connection that was open lives on, under load.
        client.call("Echo", "still here").await.unwrap();
        is_let_in(&server, new.client_tls()).await
    })
    .await;
    assert!(!is_let_in(&server, old.client_tls()).await);
    for _ in 0..100 {
        client.call("Echo", "still here").await.unwrap();
    }

    tokenbind_runtime::metrics::install().unwrap();
    // Half of a pair is no pair: what was there stays, until the other half comes.
    let (cert, key) = old.issue("localhost");
    fs::write(folder.path().join("..2/tls.crt"), cert).unwrap();
    until(async || failed_reloads() > 0).await;
    assert!(is_let_in(&server, new.client_tls()).await);
    fs::write(folder.path().join("..2/tls.key"), key).unwrap();
    until(async || is_let_in(&server, old.client_tls()).await).await;
    client.call("Echo", "still here").await.unwrap();
}

/// Whoever put the wrong file there must not end a server that works.
#[tokio::test]
async fn a_certificate_of_another_time_waits() {
    let authority = Authority::new();
    let folder = TempDir::new().unwrap();
    replace(folder.path(), "..1", &authority.issue("localhost"));
    let setting = |name: &str, file: &str| {
        symlink(format!("..data/{file}"), folder.path().join(file)).unwrap();
        format!("--{name}={}", folder.path().join(file).display())
    };
    let server = start(&[setting("tls-cert", "tls.crt"), setting("tls-key", "tls.key")]).await;
    let put = |version: &str, begins: i64, ends: i64| {
        let now = DefaultTimeProvider.current_time().unwrap().as_secs();
        let at = |offset| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.saturating_add_signed(offset));
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["other".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (at(begins), at(ends));
        let certificate = params.signed_by(&key, &authority.issuer).unwrap().pem();
        replace(folder.path(), version, &(certificate, key.serialize_pem()));
    };
    let is_other = async || is_let_in(&server, authority.client_tls().domain_name("other")).await;
    tokenbind_runtime::metrics::install().unwrap();
    for (version, begins, ends) in [("..2", -7_200, -3_600), ("..3", 4, 3_600)] {
        let before = failed_reloads();
        put(version, begins, ends);
        if begins < 0 {
            until(async || failed_reloads() > before).await;
        }
        assert!(is_let_in(&server, authority.client_tls()).await && !is_other().await);
    }
    // Its time comes while the files are as they were.
    until(is_other).await;
}

fn failed_reloads() -> u64 {
    let rendered = tokenbind_runtime::metrics::install().unwrap().render();
    let line = |line: &str| {
        line.strip_prefix("tokenbind_tls_reloads_total{outcome=\"failed\"} ")
            .map(str::to_owned)
    };
    rendered
        .lines()
        .find_map(line)
        .map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_certificate_names_its_client_and_nothing_else_does() {
    let authority = Authority::new();
    let server = start(&authority.client_auth("optional")).await;
    let connect = async |tls: ClientTlsConfig| {
        let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).unwrap();
        Client(endpoint.tls_config(tls).unwrap().connect().await.unwrap())
    };
    let mut params = CertificateParams::new(["pod.example".to_owned()]).unwrap();
    let uri = "spiffe://example.org/ns/shop/sa/cart";
    params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
    params.not_after = rcgen::date_time_ymd(2099, 1, 1);
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, &authority.issuer).unwrap().pem();
    let identity = Identity::from_pem(cert, key.serialize_pem());
    let named = connect(authority.client_tls().identity(identity)).await;
    let said = named.call("Names", "").await.unwrap();
    assert_eq!(said, format!("pod.example {uri} 4070908800"));
    let nobody = connect(authority.client_tls()).await;
    assert_eq!(nobody.call("Names", "").await.unwrap(), "nobody");
}

#[test]
fn what_is_no_certificate_names_nobody() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    assert_eq!(PeerCertificate::read(&der).unwrap().dns_names, ["a.example"]);
    let longer = [der.as_slice(), &[0]].concat();
    for bad in [&[][..], b"x", &der[..der.len() - 1], &longer] {
        assert_eq!(PeerCertificate::read(bad), None);
    }
}
