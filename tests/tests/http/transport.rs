//! Both versions of HTTP, inside TLS and without, gRPC beside them on the same port, pipelining, and stopping.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokenbind_proto::v1::{BindingType, TokenFormat};
use tokenbind_tests::{DEADLINE, Http, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::fixture::{JWKS, METADATA, Setting, TOKEN};

const CLIENT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

#[tokio::test]
async fn both_versions_and_grpc_share_a_port() {
    let setting = Setting::start().await;
    let app = &setting.opaque;
    let mut tokens = Vec::new();
    for server in [setting.issuer.clone(), setting.issuer.clone().over_http2()] {
        let answer = server.post(TOKEN, Some(&app.basic()), &CLIENT).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        tokens.push(answer.text("access_token"));
        assert_eq!(server.get(METADATA).await.status, 200);
    }
    let request = tokenbind_tests::client_credentials();
    tokens.push(setting.stack.issue(app, request).await.unwrap().access_token);
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "one slot, whichever way one asks");
    for server in [setting.validator.clone(), setting.validator.clone().over_http2()] {
        let form = [("token", tokens[0].as_str())];
        let answer = server
            .post("/oauth2/introspect", Some(&setting.api.basic()), &form)
            .await;
        Setting::assert_active(&answer);
    }
    setting.assert_works().await;
}

#[tokio::test]
async fn the_same_inside_tls_as_the_client_chooses() {
    let setting = Setting::start().await;
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let own = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let issuer = Issuer::new(params, key);
    let certificate = certificate.signed_by(&own, &issuer).unwrap().pem();
    let client_key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(["client".to_owned()]).unwrap();
    let client = client.signed_by(&client_key, &issuer).unwrap();
    let (client_der, client, client_key) = (client.der().to_vec(), client.pem(), client_key.serialize_pem());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (cert, key) = (file("cert.pem", &certificate), file("key.pem", &own.serialize_pem()));
    let installation = setting.stack.installation.as_ref().unwrap();
    let ca = file("ca.pem", &authority);
    let arguments = [
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--tls-client-ca",
        &ca,
        "--tls-client-auth",
        "optional",
    ];
    let (_process, address) = installation.start_issuer(&arguments);

    let tls = Http::new(&address).over_tls(&authority);
    let port = address.rsplit_once(':').unwrap().1;
    let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap();
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority));
    let channel = endpoint.tls_config(config).unwrap().connect_lazy();
    wait_until("the issuer serves TLS", DEADLINE, async || {
        let status = tokenbind_tests::health(&channel, "").await;
        (status == Some(ServingStatus::Serving)).then_some(())
    })
    .await;
    for server in [tls.clone(), tls.over_http2().over_tls(&authority)] {
        let answer = server.post(TOKEN, Some(&setting.opaque.basic()), &CLIENT).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Setting::assert_active(&setting.introspect(&answer.text("access_token")).await);
    }
    // Whether certificates are of use is told.
    let metadata = Http::new(&address).over_tls(&authority).get(METADATA).await.json();
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    let plain = setting.issuer.get(METADATA).await.json();
    assert!(plain.get("tls_client_certificate_bound_access_tokens").is_none());
    for (metadata, offered) in [(&metadata, true), (&plain, false)] {
        let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
        assert_eq!(methods.contains(&"tls_client_auth".into()), offered);
    }
    // V8, C30: what is issued over a connection with a certificate is bound to it, and says so.
    let mut bound = tokenbind_tests::shop("bound", TokenFormat::Jwt);
    bound.binding_type = BindingType::Certificate.into();
    let bound = setting.stack.create_app(bound).await.unwrap();
    let server = Http::new(&address);
    let own = (client.as_str(), client_key.as_str());
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &client_der));
    for server in [server.clone(), server.over_http2()] {
        let without = server
            .clone()
            .over_tls(&authority)
            .post(TOKEN, Some(&bound.basic()), &CLIENT)
            .await;
        without.assert_error(400, "invalid_request");
        let with = server
            .over_tls_as(&authority, Some(own))
            .post(TOKEN, Some(&bound.basic()), &CLIENT)
            .await;
        assert_eq!(
            (with.status, with.text("binding_type").as_str()),
            (200, "certificate"),
            "{with:?}"
        );
        let told = setting.introspect(&with.text("access_token")).await.json();
        assert_eq!(told["cnf"], serde_json::json!({"x5t#S256": thumbprint}));
    }
    // What is no TLS gets nothing.
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain
        .write_all(b"GET /oauth2/jwks HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut heard = Vec::new();
    let _ = timeout(DEADLINE, plain.read_to_end(&mut heard))
        .await
        .expect("the server hangs up");
    assert!(!heard.starts_with(b"HTTP"), "{heard:?}");
    setting.assert_works().await;
}

/// Answers to requests that came in one go come in their order, whole, and are the right ones.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let setting = Setting::start().await;
    let body = "grant_type=client_credentials&scope=orders.";
    let post = |scope: &str, close: &str| {
        format!(
            "POST {TOKEN} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-type: \
             application/x-www-form-urlencoded\r\ncontent-length: {}\r\n{close}\r\n{body}{scope}",
            setting.opaque.basic(),
            body.len() + scope.len()
        )
    };
    let get = format!("GET {JWKS} HTTP/1.1\r\nhost: x\r\n\r\n");
    let said = [
        post("read", ""),
        get.clone(),
        post("write", ""),
        "GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        post("ship", ""),
        get,
        post("delete", "connection: close\r\n"),
    ];
    let mut stream = TcpStream::connect(setting.issuer.address()).await.unwrap();
    stream.write_all(said.concat().as_bytes()).await.unwrap();
    let mut heard = String::new();
    let read = timeout(DEADLINE, stream.read_to_string(&mut heard)).await;
    read.expect("the server hangs up").unwrap();
    let answers: Vec<_> = heard.split("HTTP/1.1 ").skip(1).collect();
    let expected = [
        ("200", "orders.read"),
        ("200", "\"keys\""),
        ("200", "orders.write"),
        ("404", "not_found"),
        ("400", "invalid_scope"),
        ("200", "\"keys\""),
        ("200", "orders.delete"),
    ];
    assert_eq!(answers.len(), expected.len(), "{heard}");
    for (answer, (status, content)) in answers.iter().zip(expected) {
        assert!(answer.starts_with(status) && answer.contains(content), "{answer}");
    }
    // What hides a second request in the first is refused (RFC 9112, section 6.3).
    for smuggled in [
        "content-length: 5\r\ncontent-length: 50\r\n\r\na=b&c",
        "content-length: x\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ] {
        let request = format!("POST {TOKEN} HTTP/1.1\r\nhost: x\r\n{smuggled}GET {JWKS} HTTP/1.1\r\nhost: x\r\n\r\n");
        let mut stream = TcpStream::connect(setting.issuer.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let _ = timeout(DEADLINE, stream.read_to_end(&mut heard))
            .await
            .expect("the server hangs up");
        let heard = String::from_utf8_lossy(&heard).into_owned();
        assert!(
            heard.starts_with("HTTP/1.1 400") && !heard.contains("\"keys\""),
            "{smuggled}: {heard}"
        );
    }
    setting.assert_works().await;
}

/// Stopping: a request that is on its way is answered, and its connection ends with it.
#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_server_stops() {
    let mut setting = Setting::start().await;
    let mut stream = TcpStream::connect(setting.issuer.address()).await.unwrap();
    let body = "grant_type=client_credentials";
    let begun = format!(
        "POST {TOKEN} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n",
        setting.opaque.basic(),
        body.len()
    );
    stream.write_all(begun.as_bytes()).await.unwrap();
    // An idle one, which is closed at once.
    let mut idle = TcpStream::connect(setting.issuer.address()).await.unwrap();
    idle.write_all(format!("GET {JWKS} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut first = [0; 12];
    timeout(DEADLINE, idle.read_exact(&mut first))
        .await
        .expect("an answer")
        .unwrap();
    let issuer = &mut setting.stack.processes[0];
    issuer.terminate();
    let mut heard = Vec::new();
    timeout(DEADLINE, idle.read_to_end(&mut heard))
        .await
        .expect("it hangs up")
        .unwrap();
    wait_until("nobody is let in any more", DEADLINE, async || {
        TcpStream::connect(setting.issuer.address())
            .await
            .is_err()
            .then_some(())
    })
    .await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut heard = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut heard))
        .await
        .expect("it hangs up")
        .unwrap();
    assert!(
        heard.starts_with("HTTP/1.1 200") && heard.contains("access_token"),
        "{heard}"
    );
    assert!(heard.contains("connection: close"), "{heard}");
    let status = setting.stack.processes[0].wait(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}");
}
