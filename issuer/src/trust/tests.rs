use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokenbind_index::{Clock, ManualClock};
use tokenbind_jose::Algorithm;
use tokenbind_tests::{Behaviour, ForeignIssuer, ForeignKey};

use super::jwks::{BURST_US, FRESH_US, GONE_US, INTERVAL_US};
use super::*;
use crate::test_support::START_US;

const OWN: &str = "https://issuer.example";
const NOW: u64 = START_US / 1_000_000;

struct Bench {
    trust: Trust,
    clock: Arc<ManualClock>,
    server: ForeignIssuer,
    key: ForeignKey,
}

fn trusted(issuer: &str, keys: IssuerKeys) -> TrustedIssuer {
    TrustedIssuer {
        name: "cluster".to_owned(),
        issuer: issuer.to_owned(),
        audiences: Vec::new(),
        algorithms: vec![Algorithm::EdDSA],
        keys,
        types: Vec::new(),
        subject_claim: "sub".to_owned(),
        max_lifetime_seconds: 3_600,
        max_age_seconds: 0,
    }
}

fn uri(uri: String) -> IssuerKeys {
    IssuerKeys::Uri {
        uri,
        roots: Vec::new(),
        bearer_token_file: None,
    }
}

fn trust(issuer: TrustedIssuer, clock: &Arc<ManualClock>) -> Trust {
    let declaration = TrustDeclaration {
        issuers: vec![issuer],
        policies: Vec::new(),
    };
    Trust::new(declaration, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

async fn bench_with(change: impl FnOnce(&mut TrustedIssuer)) -> Bench {
    let key = ForeignKey::new("key-1");
    let server = ForeignIssuer::start(Behaviour::Serve(key.jwks())).await;
    let clock = Arc::new(ManualClock::new(START_US));
    let mut declared = trusted(&server.url(), uri(server.jwks_uri()));
    change(&mut declared);
    let trust = trust(declared, &clock);
    Bench {
        trust,
        clock,
        server,
        key,
    }
}

async fn bench() -> Bench {
    bench_with(|_| {}).await
}

impl Bench {
    fn claims(&self) -> Value {
        json!({"iss": self.server.url(), "sub": "system:a", "aud": OWN, "exp": NOW + 600, "iat": NOW, "nbf": NOW, "jti": "j"})
    }

    fn with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    async fn judge_as(&self, purpose: Purpose, token: &str) -> Result<String, Refusal> {
        let vouched = self.trust.vouched(token, OWN, purpose).await?;
        Ok(vouched.assertion.subject)
    }

    async fn judge(&self, token: &str) -> Result<String, Refusal> {
        self.judge_as(Purpose::Exchange, token).await
    }

    async fn refuses(&self, claims: &Value) {
        let judged = self.judge(&self.key.sign(claims)).await;
        assert!(matches!(judged, Err(Refusal::Invalid(_))), "{claims}: {judged:?}");
    }

    async fn accepts(&self, claims: &Value) {
        let judged = self.judge(&self.key.sign(claims)).await;
        assert!(judged.is_ok(), "{claims}: {judged:?}");
    }

    fn later(&self, us: u64) {
        self.clock.advance(Duration::from_micros(us));
    }

    fn fetches(&self) -> usize {
        self.server.requests().len()
    }
}

fn invalid<T: std::fmt::Debug>(judged: &Result<T, Refusal>) -> bool {
    matches!(judged, Err(Refusal::Invalid(_)))
}

fn unreachable<T: std::fmt::Debug>(judged: &Result<T, Refusal>) -> bool {
    matches!(judged, Err(Refusal::Unreachable(_)))
}

#[tokio::test]
async fn c37_a1_times_are_whole_seconds_and_true() {
    let bench = bench().await;
    bench.accepts(&bench.claims()).await;
    for (name, value) in [
        ("exp", json!(NOW)),
        ("exp", json!(NOW - 1)),
        ("nbf", json!(NOW + 31)),
        ("iat", json!(NOW + 31)),
        // Longer than it may live.
        ("exp", json!(NOW + 3_601)),
        ("iat", json!(NOW - 3_001)),
    ] {
        bench.refuses(&bench.with(name, value)).await;
    }
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!((NOW + 60).to_string()),
            json!(1_700_000_060.5),
            json!(null),
            json!([NOW]),
            json!({}),
            json!(true),
            json!(u64::MAX),
            json!(-1),
            json!(1e300),
        ] {
            bench.refuses(&bench.with(name, value)).await;
        }
    }
    for (name, value) in [
        ("nbf", json!(NOW + 30)),
        ("iat", json!(NOW + 30)),
        ("exp", json!(NOW + 1)),
    ] {
        bench.accepts(&bench.with(name, value)).await;
    }
    for name in ["nbf", "iat", "jti"] {
        let mut without = bench.claims();
        without.as_object_mut().unwrap().remove(name);
        bench.accepts(&without).await;
    }
    let mut without = bench.claims();
    without.as_object_mut().unwrap().remove("exp");
    bench.refuses(&without).await;
}

#[tokio::test]
async fn an_age_is_limited_where_it_is_declared() {
    let bench = bench_with(|declared| declared.max_age_seconds = 300).await;
    bench.accepts(&bench.with("iat", json!(NOW - 300))).await;
    bench.refuses(&bench.with("iat", json!(NOW - 301))).await;
    let mut without = bench.claims();
    without.as_object_mut().unwrap().remove("iat");
    bench.refuses(&without).await;
}

#[tokio::test]
async fn c38_c77_an_audience_is_a_text_or_several_and_ours() {
    let bench = bench().await;
    for good in [json!(OWN), json!([OWN]), json!(["other", OWN])] {
        bench.accepts(&bench.with("aud", good)).await;
    }
    for bad in [
        json!("other"),
        json!([]),
        json!("https://issuer.example/"),
        json!("HTTPS://issuer.example"),
        json!(null),
        json!(7),
        json!([[OWN]]),
        json!({"a": OWN}),
    ] {
        bench.refuses(&bench.with("aud", bad)).await;
    }
    let declared = bench_with(|declared| declared.audiences = vec!["tokenbind-prod".to_owned()]).await;
    declared.refuses(&declared.claims()).await;
    declared.accepts(&declared.with("aud", json!("tokenbind-prod"))).await;
}

#[tokio::test]
async fn c71_an_assertion_is_for_this_issuer_alone_and_for_one_use() {
    let bench = bench_with(|declared| declared.audiences = vec!["tokenbind-prod".to_owned()]).await;
    let judge = async |claims: &Value| bench.judge_as(Purpose::Grant, &bench.key.sign(claims)).await;
    assert!(judge(&bench.claims()).await.is_ok());
    assert!(judge(&bench.with("aud", json!([OWN]))).await.is_ok());
    for aud in [
        json!([OWN, "other"]),
        json!([OWN, OWN]),
        json!("tokenbind-prod"),
        json!([]),
    ] {
        assert!(invalid(&judge(&bench.with("aud", aud)).await));
    }
    for jti in [json!(""), json!("x".repeat(256)), json!(7), json!(null)] {
        assert!(invalid(&judge(&bench.with("jti", jti)).await));
    }
    let mut without = bench.claims();
    without.as_object_mut().unwrap().remove("jti");
    assert!(invalid(&judge(&without).await));
}

#[tokio::test]
async fn c39_an_issuer_is_compared_as_it_is_and_its_key_is_its_own() {
    let bench = bench().await;
    let url = bench.server.url();
    for bad in [
        format!("{url}/"),
        url.to_uppercase(),
        String::new(),
        "https://other.example".to_owned(),
    ] {
        bench.refuses(&bench.with("iss", json!(bad))).await;
    }
    // Another trusted issuer's key does not sign for this one.
    let other = ForeignKey::new("key-2");
    let second = TrustedIssuer {
        name: "other".to_owned(),
        ..trusted("https://other.example", IssuerKeys::Set(other.jwks().to_string()))
    };
    let declaration = TrustDeclaration {
        issuers: vec![trusted(&url, uri(bench.server.jwks_uri())), second],
        policies: Vec::new(),
    };
    let trust = Trust::new(declaration, Arc::clone(&bench.clock) as Arc<dyn Clock>).unwrap();
    assert!(invalid(
        &trust
            .vouched(&other.sign(&bench.claims()), OWN, Purpose::Exchange)
            .await
    ));
    let own = bench.with("iss", json!("https://other.example"));
    assert!(trust.vouched(&other.sign(&own), OWN, Purpose::Exchange).await.is_ok());
    assert!(invalid(
        &trust.vouched(&bench.key.sign(&own), OWN, Purpose::Exchange).await
    ));
}

#[tokio::test]
async fn c33_c35_c36_a2_the_header_chooses_nothing() {
    let bench = bench().await;
    let claims = bench.claims();
    let header = |name: &str, value: Value| {
        let mut header = bench.key.header();
        header[name] = value;
        header
    };
    for bad in [
        header("alg", json!("none")),
        header("alg", json!("HS256")),
        header("alg", json!("ES256")),
        header("alg", json!("eddsa")),
        header("crit", json!([])),
        header("crit", json!(["exp"])),
        header("typ", json!("at+jwt")),
        header("typ", json!("dpop+jwt")),
        header("kid", json!("../key-1")),
        header("kid", json!("key-1\u{0}")),
        header("kid", json!("k\r\nx: y")),
        header("kid", json!("k".repeat(1 << 20))),
    ] {
        let judged = bench.judge(&bench.key.sign_with(&bad, &claims)).await;
        assert!(invalid(&judged), "{judged:?}");
    }
    assert!(invalid(&bench.judge(&bench.key.sign_by_hmac(&claims)).await));
    let twice = bench.key.header().to_string().replacen('{', r#"{"alg":"EdDSA","#, 1);
    assert!(invalid(
        &bench.judge(&bench.key.sign_text(&twice, &claims.to_string())).await
    ));
    let twice = claims.to_string().replacen('{', r#"{"sub":"system:a","#, 1);
    assert!(invalid(
        &bench
            .judge(&bench.key.sign_text(&bench.key.header().to_string(), &twice))
            .await
    ));
    let unsigned = bench.key.sign(&claims);
    let (signed, _) = unsigned.rsplit_once('.').unwrap();
    assert!(invalid(&bench.judge(&format!("{signed}.")).await));
    assert!(bench.judge(&bench.key.sign(&claims)).await.is_ok());
}

#[tokio::test]
async fn c40_what_is_too_long_or_no_jwt_is_refused_before_any_key_is_asked_for() {
    let bench = bench().await;
    let long = bench.with("padding", json!("x".repeat(9_000)));
    for bad in [
        "",
        "a.b.c",
        "tbo_x",
        &bench.key.sign(&long),
        &format!("{}.x", bench.key.sign(&bench.claims())),
    ] {
        assert!(invalid(&bench.judge(bad).await));
    }
    assert_eq!(bench.fetches(), 0);
}

#[tokio::test]
async fn c34_a3_nothing_in_a_token_makes_us_call_anybody() {
    let bench = bench().await;
    let sink = ForeignIssuer::start(Behaviour::Serve(bench.key.jwks())).await;
    let thief = ForeignKey::new("key-1");
    for (name, value) in [
        ("jku", json!(sink.jwks_uri())),
        ("x5u", json!(sink.jwks_uri())),
        ("jwk", thief.jwk()),
        ("x5c", json!(["AAAA"])),
    ] {
        let mut header = thief.header();
        header[name] = value;
        assert!(
            invalid(&bench.judge(&thief.sign_with(&header, &bench.claims())).await),
            "{name}"
        );
    }
    // An issuer that nobody declared is not asked either.
    let foreign = bench.with("iss", json!(sink.url()));
    assert!(invalid(&bench.judge(&thief.sign(&foreign)).await));
    assert_eq!(sink.requests().len(), 0);
}

#[tokio::test]
async fn the_subject_is_the_declared_claim_and_can_be_a_name() {
    let bench = bench_with(|declared| declared.subject_claim = "email".to_owned()).await;
    bench.refuses(&bench.claims()).await;
    let token = bench.key.sign(&bench.with("email", json!("a@example.com")));
    assert_eq!(bench.judge(&token).await.unwrap(), "a@example.com");
    for bad in [json!(""), json!("a\nb"), json!("x".repeat(256)), json!(7), json!(["a"])] {
        bench.refuses(&bench.with("email", bad)).await;
    }
}

#[tokio::test]
async fn c51_what_is_bound_to_a_key_or_acted_on_already_is_not_taken_as_if_it_were_not() {
    let bench = bench().await;
    bench.refuses(&bench.with("cnf", json!({"jkt": "x"}))).await;
    bench.refuses(&bench.with("act", json!({"sub": "x"}))).await;
}

#[tokio::test]
async fn a_rotated_key_is_found_at_once_and_a_withdrawn_one_ends() {
    let bench = bench().await;
    bench.accepts(&bench.claims()).await;
    let next = ForeignKey::new("key-2");
    bench.server.behave(Behaviour::Serve(next.jwks()));
    assert!(bench.judge(&next.sign(&bench.claims())).await.is_ok());
    assert_eq!(bench.fetches(), 2);
    // The set that was fetched is the whole truth: the old key is not in it.
    bench.refuses(&bench.claims()).await;

    bench.later(FRESH_US);
    bench.server.behave(Behaviour::Serve(bench.key.jwks()));
    let long = |key: &ForeignKey| key.sign(&bench.with("exp", json!(NOW + 3_600)));
    assert!(invalid(&bench.judge(&long(&next)).await));
    assert!(bench.judge(&long(&bench.key)).await.is_ok());
}

#[tokio::test]
async fn a2_made_up_key_names_are_asked_for_at_a_capped_rate() {
    let bench = bench().await;
    bench.accepts(&bench.claims()).await;
    for number in 0..50 {
        let key = ForeignKey::new(&format!("made-up-{number}"));
        assert!(invalid(&bench.judge(&key.sign(&bench.claims())).await));
    }
    let burst = 1 + usize::try_from(BURST_US / INTERVAL_US).unwrap();
    assert_eq!(bench.fetches(), burst);
    bench.accepts(&bench.claims()).await;
    bench.later(INTERVAL_US);
    assert!(invalid(&bench.judge(&ForeignKey::new("x").sign(&bench.claims())).await));
    assert_eq!(bench.fetches(), burst + 1);
}

#[tokio::test]
async fn keys_outlast_an_outage_for_a_while_and_come_back_after_it() {
    let bench = bench_with(|declared| declared.max_lifetime_seconds = 86_400).await;
    let claims = bench.with("exp", json!(NOW + 20_000));
    bench.accepts(&claims).await;
    bench.server.behave(Behaviour::HangUp);
    bench.later(FRESH_US);
    bench.accepts(&claims).await;
    assert_eq!(bench.fetches(), 2);
    // Whoever comes next does not ask again at once, nor wait.
    bench.accepts(&claims).await;
    assert_eq!(bench.fetches(), 2);
    bench.later(GONE_US - FRESH_US);
    let token = bench.key.sign(&claims);
    assert!(unreachable(&bench.judge(&token).await));
    assert!(unreachable(&bench.judge(&token).await));
    bench.server.behave(Behaviour::Serve(bench.key.jwks()));
    bench.later(BURST_US + INTERVAL_US);
    bench.accepts(&claims).await;
}

#[tokio::test]
async fn a_broken_or_hostile_server_gives_no_keys_and_no_harm() {
    let redirected = ForeignIssuer::start(Behaviour::Silent).await;
    let redirect = format!("302 Found\r\nlocation: {}", redirected.jwks_uri());
    let huge = json!({"keys": [], "padding": "x".repeat(200_000)})
        .to_string()
        .into_bytes();
    for behaviour in [
        Behaviour::Head("500 Oops".to_owned()),
        Behaviour::Head("204 No Content".to_owned()),
        Behaviour::Head(redirect),
        Behaviour::Head(format!("200 OK\r\nx: {}", "y".repeat(1 << 20))),
        Behaviour::Body(b"<html></html>".to_vec()),
        Behaviour::Body(br#"{"keys":[]}"#.to_vec()),
        Behaviour::Body(vec![0xff; 10]),
        Behaviour::Body("[".repeat(100_000).into_bytes()),
        Behaviour::Body(huge),
        Behaviour::Endless,
        Behaviour::HangUp,
    ] {
        let bench = bench().await;
        bench.server.behave(behaviour.clone());
        let judged = bench.judge(&bench.key.sign(&bench.claims())).await;
        assert!(unreachable(&judged), "{behaviour:?}: {judged:?}");
        bench.server.behave(Behaviour::Serve(bench.key.jwks()));
        bench.later(BURST_US + INTERVAL_US);
        bench.accepts(&bench.claims()).await;
    }
    assert_eq!(redirected.requests().len(), 0);
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_asked_once_for_everybody_who_waits() {
    let bench = Arc::new(bench().await);
    bench.server.behave(Behaviour::Silent);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.judge(&bench.key.sign(&bench.claims())).await })
        })
        .collect();
    for one in waiting {
        assert!(unreachable(&one.await.unwrap()));
    }
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test]
async fn whoever_hangs_up_ends_nobody_elses_fetch() {
    let bench = Arc::new(bench().await);
    let first = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.judge(&bench.key.sign(&bench.claims())).await.is_ok() })
    };
    tokio::task::yield_now().await;
    first.abort();
    bench.accepts(&bench.claims()).await;
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test]
async fn a_server_that_wants_a_token_gets_the_one_of_the_file_as_it_is_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "first\n").unwrap();
    let file = path.clone();
    let bench = bench_with(|declared| {
        let IssuerKeys::Uri { bearer_token_file, .. } = &mut declared.keys else {
            panic!("a URL")
        };
        *bearer_token_file = Some(file);
    })
    .await;
    bench.accepts(&bench.claims()).await;
    std::fs::write(&path, "second\n").unwrap();
    let next = ForeignKey::new("key-2");
    bench.server.behave(Behaviour::Serve(next.jwks()));
    assert!(bench.judge(&next.sign(&bench.claims())).await.is_ok());
    let requests = bench.server.requests();
    for (request, token) in requests.iter().zip(["first", "second"]) {
        assert!(
            request.contains(&format!("authorization: Bearer {token}\r\n")),
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_loopback_url_alone_may_be_plain() {
    assert!(keys_uri_problem("http://example.com/jwks").is_some());
    let issuer = trusted("https://a.example", uri("http://example.com/jwks".to_owned()));
    let declaration = TrustDeclaration {
        issuers: vec![issuer],
        policies: Vec::new(),
    };
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(START_US));
    assert!(Trust::new(declaration, clock).is_err());
}
