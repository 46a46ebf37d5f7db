//! RFC 8705, section 2.1: the certificate of a connection as the credential of an application, and of a resource that asks.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};
use tokenbind_proto::v1::certificate_name::Name;
use tokenbind_proto::v1::{
    Application, CertificateName, ClientAuthentication, ClientAuthenticationMethod as Method, Decision,
    IntrospectTokenRequest, IssueTokenRequest, Resource as Api, TokenFormat, UpdateResourceRequest,
    ValidateTokenRequest,
};
use tokenbind_tests::{
    App, Backend, Client, Http, Process, Resource, Stack, api, client_credentials, health, mask, reason, shop,
    start_validator, wait_until, with_authorization,
};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::authority::{Authority, Certified};

const CART: &str = "spiffe://example.org/ns/shop/sa/cart";

/// A stack with a further issuer and validator that serve TLS.
struct Setting {
    stack: Stack,
    authority: Authority,
    issuer: String,
    validator: String,
    _processes: [Process; 2],
}

impl Setting {
    async fn start() -> Self {
        let stack = Stack::start(Backend::Redis).await;
        let authority = Authority::new();
        let arguments = authority.server_arguments();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (issuer, issuer_address) = stack.installation.as_ref().unwrap().start_issuer(&arguments);
        let arguments = [
            arguments.as_slice(),
            &["--introspection-issuer", "https://validator.example"],
        ]
        .concat();
        let (validator, validator_address) = start_validator(&stack.redis.as_ref().unwrap().url(), &arguments);
        let setting = Self {
            stack,
            authority,
            issuer: issuer_address,
            validator: validator_address,
            _processes: [issuer, validator],
        };
        let Client { issuer, validator } = setting.connect(None);
        for channel in [issuer, validator] {
            wait_until("a service serves TLS", tokenbind_tests::DEADLINE, async || {
                (health(&channel, "").await == Some(ServingStatus::Serving)).then_some(())
            })
            .await;
        }
        setting
    }

    /// A client that comes with this certificate, or with none.
    fn connect(&self, identity: Option<&Certified>) -> Client {
        let connect = |address: &str| -> Channel {
            let (_, port) = address.rsplit_once(':').unwrap();
            let mut tls = ClientTlsConfig::new().ca_certificate(self.authority.certificate());
            if let Some(identity) = identity {
                tls = tls.identity(identity.identity());
            }
            let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap();
            endpoint.tls_config(tls).unwrap().connect_lazy()
        };
        Client {
            issuer: connect(&self.issuer),
            validator: connect(&self.validator),
        }
    }
}

fn known_by(client_id: &str, name: Name) -> Application {
    Application {
        client_authentication: Some(ClientAuthentication {
            methods: vec![Method::TlsClientAuth.into()],
            certificate: Some(CertificateName { name: Some(name) }),
            ..Default::default()
        }),
        ..shop(client_id, TokenFormat::Opaque)
    }
}

fn named(client_id: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        client_id: client_id.to_owned(),
        ..client_credentials()
    }
}

/// Whether it gets a token, by its name in the message and by its name in `authorization` alike.
async fn gets(client: &Client, client_id: &str) -> bool {
    let by_message = client.tokens().issue_token(named(client_id)).await;
    let basic = tokenbind_tests::basic(client_id, "");
    let by_basic = client
        .tokens()
        .issue_token(with_authorization(client_credentials(), &basic))
        .await;
    assert_eq!(by_message.is_ok(), by_basic.is_ok());
    for refused in [by_message, by_basic].into_iter().filter_map(Result::err) {
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unauthenticated, "invalid_client")
        );
    }
    by_message_ok(client, client_id).await
}

async fn by_message_ok(client: &Client, client_id: &str) -> bool {
    client.tokens().issue_token(named(client_id)).await.is_ok()
}

#[tokio::test]
async fn c54_an_application_is_who_its_certificate_says() {
    let setting = Setting::start().await;
    let stack = &setting.stack;
    stack
        .create_app(known_by("cart", Name::SanUri(CART.to_owned())))
        .await
        .unwrap();
    stack
        .create_app(known_by("host", Name::SanDns("Host.example".to_owned())))
        .await
        .unwrap();
    let by_secret = stack.shop("by-secret", TokenFormat::Opaque).await;
    let authority = &setting.authority;
    let cart = setting.connect(Some(&authority.certify_uris(&[CART])));
    let host = setting.connect(Some(&authority.certify("host.example")));

    assert!(gets(&cart, "cart").await && gets(&host, "host").await);
    for (client, client_id) in [
        (&cart, "host"),
        (&host, "cart"),
        (&cart, "by-secret"),
        (&cart, "unknown"),
    ] {
        assert!(!gets(client, client_id).await, "{client_id}");
    }
    let certificates = [
        authority.certify_uris(&[CART, "spiffe://example.org/other"]),
        authority.certify_uris(&["spiffe://example.org/ns/shop/sa/cart2"]),
        authority.certify("spiffe.example.org"),
    ];
    for certificate in &certificates {
        assert!(!gets(&setting.connect(Some(certificate)), "cart").await);
    }
    let nobody = setting.connect(None);
    assert!(!gets(&nobody, "cart").await);
    // Whoever is not of this authority does not even get through.
    let stranger = setting.connect(Some(&Authority::new().certify_uris(&[CART])));
    assert!(!by_message_ok(&stranger, "cart").await);

    // C76: a header says nothing, on a connection without a certificate or with another one.
    for client in [&nobody, &host, &stack.client()] {
        let mut request = Request::new(named("cart"));
        let forged = format!("By=spiffe://x;URI={CART};Hash=00");
        request
            .metadata_mut()
            .insert("x-forwarded-client-cert", forged.parse().unwrap());
        let refused = client.tokens().issue_token(request).await.unwrap_err();
        assert_eq!(reason(&refused), "invalid_client");
    }
    // A secret beside the certificate is a second way (C4) for nobody else, and the only one for who has it.
    assert!(host.issue(&by_secret, client_credentials()).await.is_ok());
    let with_secret = App {
        id: "cart".to_owned(),
        secret: by_secret.secret.clone(),
    };
    assert!(cart.issue(&with_secret, client_credentials()).await.is_err());

    // It revokes its own tokens in the same way.
    let issued = cart.tokens().issue_token(named("cart")).await.unwrap().into_inner();
    let revoke = |client: &Client| {
        let request = tokenbind_proto::v1::RevokeTokenRequest {
            token: issued.access_token.clone(),
            client_id: "cart".to_owned(),
            ..Default::default()
        };
        let mut tokens = client.tokens();
        async move { tokens.revoke_token(request).await }
    };
    assert_eq!(reason(&revoke(&host).await.unwrap_err()), "invalid_client");
    revoke(&cart).await.unwrap();
}

async fn validate(client: &Client, authorization: &str, token: &str) -> Result<Decision, Status> {
    let question = ValidateTokenRequest {
        token: token.to_owned(),
        ..Default::default()
    };
    let request = with_authorization(question, authorization);
    Ok(client
        .validation()
        .validate_token(request)
        .await?
        .into_inner()
        .decision())
}

/// RFC 8705, section 2: `tls_client_auth`, which the metadata tell of, names the client in the form.
async fn over_http(setting: &Setting, token: &str) {
    let authority = &setting.authority;
    let as_caller = |certified: Option<&Certified>| {
        let http = Http::new(&setting.validator);
        http.over_tls_as(authority.pem(), certified.map(Certified::pems))
    };
    let caller = as_caller(Some(&authority.certify_uris(&[CART])));
    let metadata = caller.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(
        metadata["introspection_endpoint_auth_methods_supported"],
        serde_json::json!(["client_secret_basic", "tls_client_auth"])
    );
    let ask = async |client: &Http, client_id: &str| {
        let form = [("token", token), ("client_id", client_id)];
        client.post("/oauth2/introspect", None, &form).await
    };
    assert_eq!(ask(&caller, "orders").await.json()["active"], true);
    let stranger = as_caller(Some(&authority.certify("orders.example")));
    for (client, client_id) in [
        (&stranger, "orders"),
        (&as_caller(None), "orders"),
        (&caller, "other"),
        (&caller, ""),
    ] {
        ask(client, client_id).await.assert_error(401, "invalid_client");
    }
}

/// A certificate that an authority of ours signed says more than one thing, or not what it seems to say.
#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn c54_odd_certificates_name_nobody_but_whom_they_name() {
    let setting = Setting::start().await;
    let dns = |client_id: &str, name: &str| known_by(client_id, Name::SanDns(name.to_owned()));
    let cart = known_by("cart", Name::SanUri(CART.to_owned()));
    for application in [cart, dns("host", "host.example"), dns("address", "10.0.0.1")] {
        // Whether a name may be declared is not what is asked here.
        let _ = setting.stack.create_app(application).await;
    }
    let authority = &setting.authority;
    let sans = |names: &[SanType]| {
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = names.to_vec();
        params
    };
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let name = |text: &str| SanType::DnsName(text.try_into().unwrap());
    let right = sans(&[uri(CART)]);
    let of_time = |begins: i32, ends: i32| {
        let mut params = right.clone();
        params.not_before = rcgen::date_time_ymd(begins, 1, 1);
        params.not_after = rcgen::date_time_ymd(ends, 1, 1);
        params
    };
    let mut for_servers = right.clone();
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut for_clients = right.clone();
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut common_name = sans(&[]);
    common_name.distinguished_name.push(DnType::CommonName, "host.example");
    let between = authority.intermediate();
    let below = between.intermediate();
    let cases = [
        (
            "beside another name",
            authority.certify_with(&sans(&[uri(CART), name("x.example")])),
            "cart",
            true,
        ),
        ("for clients", authority.certify_with(&for_clients), "cart", true),
        (
            "through one between",
            between.certify_with(&right).with_chain(&between),
            "cart",
            true,
        ),
        ("one between is left out", between.certify_with(&right), "cart", false),
        (
            "two between where one may be",
            below.certify_with(&right).with_chain(&below).with_chain(&between),
            "cart",
            false,
        ),
        ("for servers", authority.certify_with(&for_servers), "cart", false),
        ("ended", authority.certify_with(&of_time(2020, 2021)), "cart", false),
        ("not begun", authority.certify_with(&of_time(2090, 2091)), "cart", false),
        ("by itself", authority.certify_with(&sans(&[])), "cart", false),
        (
            "case of the path",
            authority.certify_uris(&["spiffe://example.org/ns/shop/sa/Cart"]),
            "cart",
            false,
        ),
        (
            "case of the domain",
            authority.certify_uris(&["spiffe://EXAMPLE.org/ns/shop/sa/cart"]),
            "cart",
            false,
        ),
        (
            "another domain",
            authority.certify_uris(&["spiffe://example.org.evil/ns/shop/sa/cart"]),
            "cart",
            false,
        ),
        (
            "encoded",
            authority.certify_uris(&["spiffe://example.org/ns/shop/sa/%63art"]),
            "cart",
            false,
        ),
        (
            "with a query",
            authority.certify_uris(&["spiffe://example.org/ns/shop/sa/cart?x"]),
            "cart",
            false,
        ),
        (
            "a name that is the URI's",
            authority.certify_with(&sans(&[SanType::Rfc822Name(CART.try_into().unwrap())])),
            "cart",
            false,
        ),
        ("a wildcard", authority.certify("*.example"), "host", false),
        ("a dot behind", authority.certify("host.example."), "host", false),
        ("a common name", authority.certify_with(&common_name), "host", false),
        (
            "a mail address",
            authority.certify_with(&sans(&[SanType::Rfc822Name("host.example".try_into().unwrap())])),
            "host",
            false,
        ),
        (
            "a URI of the name",
            authority.certify_uris(&["host.example"]),
            "host",
            false,
        ),
        (
            "an address",
            authority.certify_with(&sans(&[SanType::IpAddress([10, 0, 0, 1].into())])),
            "address",
            false,
        ),
    ];
    for (what, certificate, client_id, expected) in &cases {
        let client = setting.connect(Some(certificate));
        assert_eq!(by_message_ok(&client, client_id).await, *expected, "{what}");
    }
    let cart = setting.connect(Some(&authority.certify_with(&right)));
    assert!(by_message_ok(&cart, "cart").await);
}

#[tokio::test]
async fn a_resource_asks_with_its_certificate() {
    let setting = Setting::start().await;
    let stack = &setting.stack;
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let orders = Api {
        caller_certificate: Some(CertificateName {
            name: Some(Name::SanUri(CART.to_owned())),
        }),
        ..api("orders", &[&app])
    };
    let orders = stack.create_resource(orders).await.unwrap();
    stack.api("other", &[&app]).await;
    let token = stack.issue(&app, client_credentials()).await.unwrap().access_token;
    let authority = &setting.authority;
    let caller = setting.connect(Some(&authority.certify_uris(&[CART])));
    let wrong = setting.connect(Some(&authority.certify("orders.example")));
    let nobody = setting.connect(None);
    let name = Resource {
        id: orders.id.clone(),
        secret: String::new(),
    };
    let refused = async |client: &Client, authorization: &str| {
        let status = validate(client, authorization, &token).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unauthenticated, "invalid_client")
        );
    };
    for _ in 0..2 {
        assert_eq!(validate(&caller, &name.basic(), &token).await.unwrap(), Decision::Allow);
        // What was good on that connection is not good on another.
        refused(&wrong, &name.basic()).await;
        refused(&nobody, &name.basic()).await;
        refused(&stack.client(), &name.basic()).await;
    }
    refused(&caller, &tokenbind_tests::basic("other", "")).await;
    refused(&caller, &tokenbind_tests::basic("orders", "wrong")).await;
    assert_eq!(
        validate(&nobody, &orders.basic(), &token).await.unwrap(),
        Decision::Allow
    );
    let introspect = async |client: &Client| {
        let request = IntrospectTokenRequest {
            token: token.clone(),
            ..Default::default()
        };
        let request = with_authorization(request, &name.basic());
        client.validation().introspect_token(request).await
    };
    assert!(introspect(&caller).await.unwrap().into_inner().active);
    introspect(&wrong).await.unwrap_err();
    over_http(&setting, &token).await;

    // Without the name it is nobody, at once.
    let update = UpdateResourceRequest {
        resource: Some(Api {
            resource_id: "orders".to_owned(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["caller_certificate"])),
    };
    stack.resources().update_resource(stack.as_admin(update)).await.unwrap();
    wait_until(
        "the certificate does not count any more",
        tokenbind_tests::DEADLINE,
        async || validate(&caller, &name.basic(), &token).await.is_err().then_some(()),
    )
    .await;
    refused(&caller, &name.basic()).await;
    assert_eq!(
        validate(&caller, &orders.basic(), &token).await.unwrap(),
        Decision::Allow
    );
}
