//! C33–C43 on every intake of a JWT over HTTP: introspected token, client assertion, assertion as a grant, subject token.

use serde_json::{Value, json};
use tokenbind_proto::v1::client_authentication::Keys;
use tokenbind_proto::v1::{Application, ClientAuthentication, ClientAuthenticationMethod as Method, TokenFormat};
use tokenbind_tests::{App, Backend, Behaviour, ForeignIssuer, ForeignKey, HttpAnswer, JWT, Stack, now};

use crate::fixture::{EXCHANGE, JWT_BEARER, OWN, Setting, TOKEN, every_grant};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

struct Trusting {
    setting: Setting,
    cluster: ForeignKey,
    server: ForeignIssuer,
    own: ForeignKey,
    signs: App,
}

impl Trusting {
    async fn start() -> Self {
        let (cluster, own) = (ForeignKey::new("cluster"), ForeignKey::new("own"));
        let server = ForeignIssuer::start(Behaviour::Serve(cluster.jwks())).await;
        let policy = |grant: &str| {
            format!(
                "  - name: {grant}\n    grants: [{grant}]\n    client_ids: [jwt]\n    subject_issuer: cluster\n    \
                 subjects: [\"system:*\"]\n    audiences: [orders-api]\n    scopes: [orders.read]\n"
            )
        };
        let sections = format!(
            "trusted_issuers:\n  - name: cluster\n    issuer: {}\n    algorithms: [EdDSA]\n    jwks_uri: {}\n\
             exchange_policies:\n{}{}  - name: acting\n    client_ids: [jwt]\n    subject_client_ids: [jwt]\n    \
             actor_issuer: cluster\n    actors: [\"system:*\"]\n    audiences: [orders-api]\n    scopes: [orders.read]\n",
            server.url(),
            server.jwks_uri(),
            policy("token_exchange"),
            policy("jwt_bearer"),
        );
        let setting = Setting::of(Stack::start_declaring(Backend::Redis, &sections).await).await;
        let signs = Application {
            client_authentication: Some(ClientAuthentication {
                methods: vec![Method::PrivateKeyJwt.into()],
                keys: Some(Keys::JwksJson(own.jwks().to_string())),
                workload: None,
                ..Default::default()
            }),
            ..every_grant("signs", TokenFormat::Jwt)
        };
        let signs = setting.stack.create_app(signs).await.unwrap();
        Self {
            setting,
            cluster,
            server,
            own,
            signs,
        }
    }

    fn account(&self, jti: &str) -> Value {
        json!({"iss": self.server.url(), "sub": "system:cart", "aud": OWN, "exp": now() + 300, "iat": now(), "jti": jti})
    }

    async fn asserted(&self, assertion: &str) -> HttpAnswer {
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion)];
        self.setting.ask(&self.setting.jwt, &form).await
    }

    async fn exchanged(&self, subject: &str) -> HttpAnswer {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", JWT),
        ];
        self.setting.ask(&self.setting.jwt, &form).await
    }

    async fn authenticated(&self, assertion: &str) -> HttpAnswer {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion),
        ];
        self.setting.issuer.post(TOKEN, None, &form).await
    }

    fn own_claims(&self, jti: &str) -> Value {
        json!({"iss": self.signs.id, "sub": self.signs.id, "aud": OWN, "exp": now() + 60, "iat": now(), "jti": jti})
    }
}

/// What no key of the right owner signed, or signed in a way that nobody may: `sink` must see no connection (C34).
fn forged(key: &ForeignKey, claims: &Value, sink: &str) -> Vec<(&'static str, String)> {
    let thief = ForeignKey::new(&key.kid);
    let header = |key: &ForeignKey, name: &str, value: Value| {
        let mut header = key.header();
        header[name] = value;
        key.sign_with(&header, claims)
    };
    let claim = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        key.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        key.sign(&claims)
    };
    let twice = |name: &str| {
        let again = format!("{{\"{name}\":{},", claims[name]);
        key.sign_text(&key.header().to_string(), &claims.to_string().replacen('{', &again, 1))
    };
    let good = key.sign(claims);
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    let iss = claims["iss"].as_str().unwrap();
    let mut forged = vec![
        ("C33 another key", thief.sign(claims)),
        ("C33 none", header(key, "alg", json!("none"))),
        ("C33 unsigned", format!("{unsigned}.")),
        ("C33 HS256 with the public key", key.sign_by_hmac(claims)),
        ("C33 another alg", header(key, "alg", json!("ES256"))),
        ("C34 jwk", header(&thief, "jwk", thief.jwk())),
        ("C34 jku", header(&thief, "jku", json!(sink))),
        ("C34 x5u", header(&thief, "x5u", json!(sink))),
        ("C34 x5c", header(&thief, "x5c", json!(["AAAA"]))),
        ("C35 crit", header(key, "crit", json!(["x"]))),
        ("C35 empty crit", header(key, "crit", json!([]))),
        ("C36 aud twice", twice("aud")),
        ("C36 sub twice", twice("sub")),
        ("C37 expired", claim("exp", json!(now()))),
        ("C37 early", claim("nbf", json!(now() + 600))),
        ("C38 another aud", claim("aud", json!("https://other.example"))),
        ("C38 one more aud", claim("aud", json!([OWN, "https://other.example"]))),
        ("C39 slash", claim("iss", json!(format!("{iss}/")))),
        ("C39 capitals", claim("iss", json!(iss.to_uppercase()))),
        ("C40 four segments", format!("{good}.x")),
        ("C40 padding", format!("{good}=")),
        ("C40 bad UTF-8", key.sign_text(&key.header().to_string(), "\u{fffd}")),
        ("C40 oversize", format!("{good}{}", "A".repeat(7_000))),
        ("A2 kid", header(&thief, "kid", json!("../../dev/null"))),
        ("C42 typ", header(key, "typ", json!("at+jwt"))),
    ];
    forged.extend(["iss", "sub", "aud", "exp"].map(|name| ("a claim is missing", without(name))));
    for value in [
        json!("4000000000"),
        json!(4e9 + 0.5),
        json!(null),
        json!([now() + 60]),
        json!(-1),
        json!(u64::MAX),
    ] {
        forged.push(("C37, A1 a time of another kind", claim("exp", value)));
    }
    forged
}

#[tokio::test]
async fn c33_to_c43_no_intake_takes_what_is_not_right_in_every_way() {
    let trusting = Trusting::start().await;
    let sink = ForeignIssuer::start(Behaviour::HangUp).await;
    for (what, jwt) in forged(&trusting.cluster, &trusting.account("1"), &sink.jwks_uri()) {
        let (asserted, exchanged) = (trusting.asserted(&jwt).await, trusting.exchanged(&jwt).await);
        // C46: of the subject token, a bad request; C70: of the assertion, a bad grant. One that is too long is a bad request.
        let expected = if jwt.len() > 8_192 {
            "invalid_request"
        } else {
            "invalid_grant"
        };
        assert_eq!(
            (asserted.status, asserted.text("error").as_str()),
            (400, expected),
            "{what}"
        );
        // C71 is of assertions: who shows a subject token may show one that is good elsewhere, too.
        if what == "C38 one more aud" {
            assert_eq!(exchanged.status, 200, "{what}");
        } else {
            assert_eq!(
                (exchanged.status, exchanged.text("error").as_str()),
                (400, "invalid_request"),
                "{what}"
            );
        }
    }
    for (what, jwt) in forged(&trusting.own, &trusting.own_claims("1"), &sink.jwks_uri()) {
        let answer = trusting.authenticated(&jwt).await;
        let expected = if jwt.len() > 8_192 {
            (400, "invalid_request")
        } else {
            (401, "invalid_client")
        };
        assert_eq!((answer.status, answer.text("error").as_str()), expected, "{what}");
    }
    assert_eq!(sink.requests().len(), 0, "C34");

    // Nothing of that used anything up, and each is good once (C72) as it should be. C38: an array of one is as good.
    let asserted = trusting.asserted(&trusting.cluster.sign(&trusting.account("1"))).await;
    assert_eq!(asserted.status, 200, "{asserted:?}");
    Setting::assert_active(&trusting.setting.introspect(&asserted.text("access_token")).await);
    let mut listed = trusting.account("2");
    listed["aud"] = json!([OWN]);
    let exchanged = trusting.exchanged(&trusting.cluster.sign(&listed)).await;
    assert_eq!(exchanged.status, 200, "{exchanged:?}");
    // C48
    assert_eq!(exchanged.text("issued_token_type"), tokenbind_tests::ACCESS_TOKEN);
    let own = trusting.own.sign(&trusting.own_claims("1"));
    let answer = trusting.authenticated(&own).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    trusting.authenticated(&own).await.assert_error(401, "invalid_client");
    // C45 to C51: who acts for whom is told; the result stays bound to what the subject token was.
    let login = trusting
        .setting
        .login(&trusting.setting.jwt, "phone")
        .await
        .text("access_token");
    let actor = trusting.cluster.sign(&trusting.account("3"));
    let delegation = [
        ("grant_type", EXCHANGE),
        ("subject_token", &login),
        ("subject_token_type", tokenbind_tests::ACCESS_TOKEN),
        ("actor_token", &actor),
        ("actor_token_type", JWT),
        ("tokenBindingId", "phone"),
    ];
    for wrong in [
        &delegation[..4],
        &[&delegation[..3], &delegation[4..]].concat(),
        &delegation[..5],
        &delegation[..2],
    ] {
        let answer = trusting.setting.ask(&trusting.setting.jwt, wrong).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let delegated = trusting.setting.ask(&trusting.setting.jwt, &delegation).await;
    assert_eq!(delegated.status, 200, "{delegated:?}");
    let told = trusting
        .setting
        .introspect(&delegated.text("access_token"))
        .await
        .json();
    assert_eq!(
        (&told["sub"], &told["binding_type"]),
        (&json!("user:ada"), &json!("client-request"))
    );
    assert_eq!(told["act"]["sub"], "ext:cluster:system:cart");
    // C4: a secret beside it is one proof too many.
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "signs"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", &trusting.own.sign(&trusting.own_claims("2"))),
        ("client_secret", "x"),
    ];
    trusting
        .setting
        .issuer
        .post(TOKEN, None, &form)
        .await
        .assert_error(400, "invalid_request");
    trusting.setting.assert_works().await;
}

/// The same for a token of our own that somebody altered; and C41: what is in it.
#[tokio::test]
async fn c33_c41_c42_only_what_was_issued_is_live() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let setting = Setting::start().await;
    let token = setting.login(&setting.jwt, "phone").await.text("access_token");
    let decode = |index: usize| -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, claims) = (decode(0), decode(1));
    assert_eq!(header["typ"], "at+jwt");
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        assert!(claims.get(name).is_some(), "{name}");
    }
    let kid = header["kid"].as_str().unwrap();
    let thief = ForeignKey::new(kid);
    let with_type = |key: &ForeignKey| {
        let mut header = key.header();
        header["typ"] = json!("at+jwt");
        header
    };
    let mut none = with_type(&thief);
    none["alg"] = json!("none");
    for forged in [
        thief.sign(&claims),
        thief.sign_with(&with_type(&thief), &claims),
        thief.sign_with(&none, &claims),
        thief.sign_by_hmac(&claims),
        format!("{}.", token.rsplit_once('.').unwrap().0),
        format!("{token}."),
        format!("{token}="),
        token.to_uppercase(),
    ] {
        Setting::assert_inactive(&setting.introspect(&forged).await);
    }
    Setting::assert_active(&setting.introspect(&token).await);
    setting.assert_works().await;
}
