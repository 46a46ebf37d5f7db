//! The engine in process, without a network: tokens that are kept, and tokens that are read for each question.
//!
//! The store is in memory, so what a read costs here is everything but Redis.

#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the macros of criterion make functions without documentation; a benchmark that fails may panic"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use prost::Message as _;
use serde_json::json;
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{
    BindingIndex as _, BindingTag, Clock, DocumentKind, DocumentStore as _, Expect, Generation, Issue, IssuePolicy,
    Locator, Namespace, Nonce, OpaqueToken, Put, SlotDefinition, Subject, SystemClock, TokenDigest,
};
use tokenbind_proto::index::v1::{ApplicationRecord, SigningKeyRecord, TokenRecord};
use tokenbind_proto::v1::{self, BindingType, TokenFormat};
use tokenbind_validator::facts::{CacheLimits, FactInputs};
use tokenbind_validator::{Consistency, Presented, Presenter, Question, Resource, Validator, decision};

const CLIENT: &str = "shop";
const AUDIENCE: &str = "https://orders.example";
const ISSUER: &str = "https://issuer.example";
const LIFETIME_SECONDS: u64 = 24 * 60 * 60;
/// Coprime to every number of tokens: neighbours in time are none in memory.
const STRIDE: usize = 7_919;

/// An installation with live tokens.
struct Bench {
    validator: Validator,
    resource: Resource,
    tokens: Vec<String>,
}

/// Signs JWTs as an issuer would.
struct Signer {
    key: EncodingKey,
    /// Of the application.
    generation: Generation,
    header: String,
}

impl Bench {
    async fn new(format: TokenFormat, count: u32) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Arc::new(MemoryIndex::new(Arc::clone(&clock)));
        let signer = declare(&store, &*clock).await;
        let mut tokens = Vec::new();
        for number in 0..count {
            tokens.push(issue(&store, &*clock, &signer, format, number).await);
        }
        let facts = FactInputs {
            store: store.clone(),
            tracking: Some(store),
            clock,
            limits: CacheLimits {
                entries: 2_000_000,
                bytes: 8 << 30,
            },
        };
        let resource = v1::Resource {
            resource_id: "orders".to_owned(),
            audiences: vec![AUDIENCE.to_owned()],
            accepted_client_ids: vec![CLIENT.to_owned()],
            ..v1::Resource::default()
        };
        Self {
            validator: Validator::new(facts, Namespace::default()),
            resource: resource.into(),
            tokens,
        }
    }

    async fn ask(&self, number: usize, consistency: Consistency) {
        let question = Question {
            token: Presented(&self.tokens[number % self.tokens.len()]),
            resource: &self.resource,
            presenter: Presenter {
                client_id: Some(CLIENT),
                ..Presenter::default()
            },
            expected_client_ids: &[],
            required_scopes: &[],
            consistency,
        };
        let verdict = self.validator.validate(black_box(&question)).await.unwrap();
        assert_eq!(decision(verdict.reason), v1::Decision::Allow, "{:?}", verdict.reason);
    }

    async fn times(&self, count: u64, consistency: Consistency) -> Duration {
        let start = Instant::now();
        let mut number = 0_usize;
        for _ in 0..count {
            number = number.wrapping_add(STRIDE);
            self.ask(number, consistency).await;
        }
        start.elapsed()
    }
}

async fn declare(store: &MemoryIndex, clock: &dyn Clock) -> Signer {
    let application = ApplicationRecord {
        application: Some(v1::Application {
            client_id: CLIENT.to_owned(),
            ..v1::Application::default()
        }),
        secrets: vec![],
    };
    let put = async |kind, id: &str, body| store.put_document(kind, id, body, Expect::Any).await.unwrap();
    let declared = put(DocumentKind::Application, CLIENT, application.encode_to_vec()).await;
    let Put::Stored { generation, .. } = declared else {
        panic!("the application is not stored")
    };
    let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
    let key = EncodingKey::from_ed_der(der.as_ref());
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
    jwk.common.key_id = Some("key-1".to_owned());
    let record = SigningKeyRecord {
        jwk_json: serde_json::to_string(&jwk).unwrap(),
        issuer: ISSUER.to_owned(),
        expires_at: i64::try_from(clock.now_seconds() + LIFETIME_SECONDS).unwrap(),
        use_from: 0,
        withdrawn_at: 0,
    };
    put(DocumentKind::SigningKey, "key-1", record.encode_to_vec()).await;
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "key-1" });
    Signer {
        key,
        generation,
        header: URL_SAFE_NO_PAD.encode(header.to_string()),
    }
}

async fn issue(store: &MemoryIndex, clock: &dyn Clock, signer: &Signer, format: TokenFormat, number: u32) -> String {
    let subject = Subject::User(format!("user-{number}"));
    let definition = SlotDefinition {
        client_id: CLIENT,
        subject: &subject,
        scopes: &["orders.read".to_owned()].into(),
        audiences: &[AUDIENCE.to_owned()].into(),
        format,
        actor: None,
        binding: None,
    };
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&number.to_be_bytes());
    let locator = Locator {
        home: subject.home(),
        slot: definition.slot(),
        nonce: Nonce(nonce),
    };
    let token = match format {
        TokenFormat::Opaque => OpaqueToken {
            locator,
            secret: [7; 32],
        }
        .encode(),
        _ => signer.jwt(&subject, &locator, clock.now_seconds()),
    };
    let record = TokenRecord {
        generation: signer.generation,
        digest: TokenDigest::of(&token).0.to_vec(),
        lifetime_ms: u32::try_from(LIFETIME_SECONDS * 1_000).unwrap(),
        format: format.into(),
        binding_type: BindingType::None.into(),
        client_id: CLIENT.to_owned(),
        subject: subject.claim(),
        scopes: vec!["orders.read".to_owned()],
        audiences: vec![AUDIENCE.to_owned()],
        nonce: if format == TokenFormat::Opaque {
            nonce.to_vec()
        } else {
            vec![]
        },
        ..TokenRecord::default()
    };
    let issue = Issue {
        home: locator.home,
        slot: locator.slot,
        record,
        binding: BindingTag::UNBOUND,
        policy: IssuePolicy::Replace,
        limit: None,
    };
    store.issue(issue).await.unwrap();
    token
}

impl Signer {
    fn jwt(&self, subject: &Subject, locator: &Locator, now: u64) -> String {
        let claims = json!({
            "iss": ISSUER, "sub": subject.claim(), "aud": [AUDIENCE], "exp": now + LIFETIME_SECONDS, "iat": now, "nbf": now,
            "jti": locator.encode(), "client_id": CLIENT, "azp": CLIENT, "scope": "orders.read",
            "aut": subject.authorized_user_type(), "binding_type": "none",
        });
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = crypto::sign(signed.as_bytes(), &self.key, Algorithm::EdDSA).unwrap();
        format!("{signed}.{signature}")
    }
}

fn engine(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (name, format, count) in [
        ("jwt, 10^4", TokenFormat::Jwt, 10_000),
        ("jwt, 10^6", TokenFormat::Jwt, 1_000_000),
        ("opaque, 10^4", TokenFormat::Opaque, 10_000),
        ("opaque, 10^6", TokenFormat::Opaque, 1_000_000),
    ] {
        let bench = runtime.block_on(Bench::new(format, count));
        runtime.block_on(async {
            for number in 0..bench.tokens.len() {
                bench.ask(number, Consistency::MinimizeLatency).await;
            }
        });
        let mut group = criterion.benchmark_group(format!("validate {name}"));
        for (name, consistency) in [
            ("kept", Consistency::MinimizeLatency),
            ("read", Consistency::FullyConsistent),
        ] {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|count| runtime.block_on(bench.times(count, consistency)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, engine);
criterion_main!(benches);
