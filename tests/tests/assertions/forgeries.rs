//! C33–C40, A1, A2: every way in for a JWT that is not ours, with every forgery.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokenbind_proto::v1::IssueTokenResponse;
use tokenbind_tests::{Ask as _, ForeignKey, exchange, exchange_with, jwt_bearer, now, reason};
use tonic::Status;

use crate::in_every_setting;
use crate::setting::{OWN, Setting};

in_every_setting!(
    c33_to_c40_no_intake_takes_a_forged_header,
    c36_to_c39_a1_no_intake_takes_forged_claims,
    c40_no_intake_takes_what_is_no_jwt,
);

/// Where a JWT of somebody else comes in.
#[derive(Clone, Copy, Debug)]
enum Intake {
    Subject,
    Actor,
    Grant,
    Workload,
    Client,
}

const INTAKES: [Intake; 5] = [
    Intake::Subject,
    Intake::Actor,
    Intake::Grant,
    Intake::Workload,
    Intake::Client,
];

impl Intake {
    /// Who has to sign, and somebody else whom the issuer knows.
    fn keys(self, setting: &Setting) -> (&ForeignKey, &ForeignKey) {
        match self {
            Self::Client => (&setting.own, &setting.cluster),
            _ => (&setting.cluster, &setting.own),
        }
    }

    fn claims(self, setting: &Setting, jti: &str) -> Value {
        match self {
            Self::Client => Setting::claims("signs", jti),
            _ => setting.account("system:cart", jti),
        }
    }

    async fn show(self, setting: &Setting, token: &str) -> Result<IssueTokenResponse, Status> {
        let request = match self {
            Self::Subject => exchange(token),
            Self::Actor => exchange_with(&setting.cluster.sign(&setting.account("robot-1", "subject")), token),
            Self::Grant => jwt_bearer(token),
            Self::Workload => return setting.own_token("workload", token).await,
            Self::Client => return setting.own_token("signs", token).await,
        };
        let request = request.scopes(&["orders.read"]);
        setting.stack.issue(&setting.secret, request).await
    }

    fn refusal(self) -> &'static str {
        match self {
            Self::Subject | Self::Actor => "invalid_request",
            Self::Grant => "invalid_grant",
            Self::Workload | Self::Client => "invalid_client",
        }
    }

    async fn refuses(self, setting: &Setting, name: &str, token: &str) {
        let refused = self.show(setting, token).await;
        let error = refused.expect_err(&format!("{self:?} takes {name}"));
        assert_eq!(reason(&error), self.refusal(), "{self:?}: {name}");
    }

    /// A negative run ends with the right one.
    async fn takes(self, setting: &Setting) {
        let good = self.keys(setting).0.sign(&self.claims(setting, "good"));
        self.show(setting, &good).await.unwrap();
    }
}

async fn c33_to_c40_no_intake_takes_a_forged_header(setting: Setting) {
    for intake in INTAKES {
        let (key, other) = intake.keys(&setting);
        let claims = intake.claims(&setting, "forged");
        let thief = ForeignKey::new(&key.kid);
        let with = |signs: &ForeignKey, name: &str, value: Value| {
            let mut header = key.header();
            header[name] = value;
            signs.sign_with(&header, &claims)
        };
        let mut forged = vec![
            ("a thief's key", thief.sign(&claims)),
            ("somebody else's key", other.sign(&claims)),
            ("somebody else's key by our name", with(other, "kid", json!(key.kid))),
            ("HMAC with the public key", key.sign_by_hmac(&claims)),
            ("its own key", with(&thief, "jwk", thief.jwk())),
        ];
        for name in ["jku", "x5u"] {
            forged.push((name, with(&thief, name, json!("http://127.0.0.1:1/jwks"))));
        }
        forged.push(("x5c", with(&thief, "x5c", json!(["MIIB"]))));
        for alg in [
            "none", "NONE", "HS256", "RS256", "PS256", "ES256", "Ed25519", "", "eddsa",
        ] {
            forged.push((alg, with(key, "alg", json!(alg))));
        }
        for kid in [
            json!("../../key"),
            json!("a\u{0}b"),
            json!("a\r\nb"),
            json!(""),
            json!("made-up"),
            json!(7),
            json!(null),
            json!([key.kid]),
            json!("k".repeat(4_000)),
        ] {
            forged.push(("kid", with(key, "kid", kid)));
        }
        for (name, value) in [
            ("crit", json!([])),
            ("crit", json!(["exp"])),
            ("crit", json!(null)),
            ("typ", json!("at+jwt")),
            ("typ", json!("dpop+jwt")),
            ("typ", json!("token-introspection+jwt")),
            ("typ", json!(["JWT"])),
        ] {
            forged.push((name, with(key, name, value)));
        }
        let twice = key.header().to_string().replacen('{', r#"{"alg":"none","#, 1);
        forged.push(("alg twice", key.sign_text(&twice, &claims.to_string())));
        for (name, token) in forged {
            intake.refuses(&setting, name, &token).await;
        }
        intake.takes(&setting).await;
    }
}

async fn c36_to_c39_a1_no_intake_takes_forged_claims(setting: Setting) {
    for intake in INTAKES {
        let (key, _) = intake.keys(&setting);
        let claims = intake.claims(&setting, "forged");
        let iss = claims["iss"].as_str().unwrap().to_owned();
        let later = now() + 60;
        let mut cases = vec![
            ("iss", json!(format!("{iss}/"))),
            ("iss", json!(iss.to_uppercase())),
            ("iss", json!(OWN)),
            ("iss", json!([iss])),
            ("aud", json!(format!("{OWN}/"))),
            ("aud", json!(OWN.to_uppercase())),
            ("aud", json!([])),
            ("aud", json!([1])),
            ("aud", json!({"0": OWN})),
            ("aud", json!(null)),
            ("sub", json!("")),
            ("sub", json!(1)),
            ("sub", json!(null)),
            ("sub", json!("system:cart\u{0}")),
            ("sub", json!("x".repeat(256))),
            ("exp", json!(now())),
            ("exp", json!(now() - 1)),
            ("exp", json!(now() + 1_000_000)),
            ("nbf", json!(now() + 600)),
            ("iat", json!(now() + 600)),
            ("cnf", json!({"jkt": "x"})),
            ("act", json!({"sub": "x"})),
        ];
        for name in ["exp", "nbf", "iat"] {
            for value in [
                json!(later.to_string()),
                json!(60.5),
                json!(null),
                json!([later]),
                json!({"t": later}),
                json!(true),
                json!(u64::MAX),
                json!(-1),
                json!(1e30),
            ] {
                cases.push((name, value));
            }
        }
        for (name, value) in cases {
            let mut claims = claims.clone();
            claims[name] = value.clone();
            let name = format!("{name} {value}");
            intake.refuses(&setting, &name, &key.sign(&claims)).await;
        }
        for name in ["iss", "sub", "aud", "exp"] {
            let mut claims = claims.clone();
            claims.as_object_mut().unwrap().remove(name);
            intake
                .refuses(&setting, &format!("no {name}"), &key.sign(&claims))
                .await;
        }
        for double in [
            r#""sub":"x","#,
            r#""s\u0075b":"x","#,
            r#""exp":1,"#,
            r#""x":{"a":1,"a":2},"#,
        ] {
            let text = claims.to_string().replacen('{', &format!("{{{double}"), 1);
            let token = key.sign_text(&key.header().to_string(), &text);
            intake.refuses(&setting, double, &token).await;
        }
        intake.takes(&setting).await;
    }
}

async fn c40_no_intake_takes_what_is_no_jwt(setting: Setting) {
    for intake in INTAKES {
        let (key, _) = intake.keys(&setting);
        let good = key.sign(&intake.claims(&setting, "forged"));
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        let mut latin = intake.claims(&setting, "forged").to_string().into_bytes();
        latin.truncate(latin.len() - 1);
        latin.extend_from_slice(b",\"x\":\"\xe9\"}");
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(2_000), "]".repeat(2_000));
        for (name, token) in [
            ("no JWT", "x".to_owned()),
            ("no signature", format!("{header}.{payload}.")),
            ("two segments", format!("{header}.{payload}")),
            ("four segments", format!("{good}.{signature}")),
            ("padding", format!("{good}=")),
            ("white space", format!("{good}\n")),
            ("other base64", good.replace(['-', '_'], "+") + "+"),
            (
                "another payload",
                format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("{}")),
            ),
            (
                "bytes that are no UTF-8",
                key.sign_bytes(key.header().to_string().as_bytes(), &latin),
            ),
            ("no object", key.sign_text(&key.header().to_string(), "[]")),
            ("nothing", key.sign_text(&key.header().to_string(), "")),
            ("deep", key.sign_text(&key.header().to_string(), &deep)),
        ] {
            intake.refuses(&setting, name, &token).await;
        }
        let long = intake.show(&setting, &"x".repeat(8_193)).await.unwrap_err();
        assert_eq!(reason(&long), "invalid_request", "{intake:?}");
        intake.takes(&setting).await;
    }
}
