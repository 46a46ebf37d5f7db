//! An installation: an application `shop`, a resource `orders` that accepts it, and a signing key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use prost::Message as _;
use serde_json::{Value, json};
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{
    BindingId, BindingIndex as _, BindingTag, BindingValue, Clock as _, DocumentKind, DocumentStore as _, Expect,
    Issue, IssuePolicy, Locator, ManualClock, Namespace, Nonce, OpaqueToken, SlotDefinition, Subject, TokenDigest,
    TrackedIndex,
};
use tokenbind_proto::index::v1::{
    ApplicationRecord, OpaqueKeyRecord, ResourceRecord, SecretDigest, SigningKeyRecord, TokenRecord,
};
use tokenbind_proto::v1::{self, BindingType, Reason, TokenFormat};

use super::signer::Signer;
use super::store::SwitchedStore;
use crate::facts::{CacheLimits, FactInputs};
use crate::{Consistency, Presented, Presenter, Question, Resource, Unavailable, Validator, Verdict};

pub(super) const ISSUER: &str = "https://issuer.example";
pub(super) const RESOURCE: &str = "orders";
pub(super) const AUDIENCE: &str = "https://orders.example";
pub(super) const SHOP: &str = "shop";
pub(super) const LIFETIME_SECONDS: u64 = 600;
const START_US: u64 = 1_800_000_000_000_000;
/// Of what is declared at the start.
pub(super) const GENERATION: u32 = 1_800_000_000;

pub(super) struct Fixture {
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<SwitchedStore>,
    pub(super) inputs: FactInputs,
    pub(super) validator: Arc<Validator>,
    pub(super) signer: Signer,
    nonces: AtomicU8,
}

/// What a token is to be.
#[derive(Clone)]
pub(super) struct Spec {
    pub(super) client_id: String,
    pub(super) subject: Subject,
    pub(super) scopes: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) binding: Option<BindingValue>,
    pub(super) generation: u32,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            client_id: SHOP.to_owned(),
            subject: Subject::User("ada".to_owned()),
            scopes: texts(&["orders.read"]),
            audiences: texts(&[AUDIENCE]),
            binding: None,
            generation: GENERATION,
        }
    }
}

impl Spec {
    pub(super) fn bound_to(id: &str) -> Self {
        Self {
            binding: Some(binding(id)),
            ..Self::default()
        }
    }
}

pub(super) fn binding(id: &str) -> BindingValue {
    BindingValue::ClientRequest(BindingId::parse(id).unwrap().unwrap())
}

pub(super) fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

pub(super) fn application() -> v1::Application {
    v1::Application {
        client_id: SHOP.to_owned(),
        ..v1::Application::default()
    }
}

pub(super) fn resource() -> v1::Resource {
    v1::Resource {
        resource_id: RESOURCE.to_owned(),
        audiences: texts(&[AUDIENCE]),
        accepted_client_ids: texts(&[SHOP]),
        ..v1::Resource::default()
    }
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::signing_with(Algorithm::EdDSA).await
    }

    /// An installation whose validator keeps facts.
    pub(super) async fn keeping(limits: CacheLimits) -> Self {
        Self::with(Algorithm::EdDSA, Some(limits)).await
    }

    pub(super) async fn signing_with(algorithm: Algorithm) -> Self {
        Self::with(algorithm, None).await
    }

    async fn with(algorithm: Algorithm, kept: Option<CacheLimits>) -> Self {
        let clock = Arc::new(ManualClock::new(START_US));
        let store = Arc::new(SwitchedStore::new(MemoryIndex::new(clock.clone()), clock.clone()));
        let inputs = FactInputs {
            store: store.clone(),
            tracking: kept.map(|_| store.clone() as Arc<dyn TrackedIndex>),
            clock: clock.clone(),
            limits: kept.unwrap_or_default(),
        };
        let validator = Validator::new(inputs.clone(), Namespace::default());
        let fixture = Self {
            inputs,
            clock,
            store,
            validator: Arc::new(validator),
            signer: Signer::generate("key-1", algorithm),
            nonces: AtomicU8::new(0),
        };
        fixture.publish(&fixture.signer, ISSUER).await;
        fixture.put_application(application()).await;
        fixture.put_resource(resource(), vec![]).await;
        fixture
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.now_seconds()
    }

    pub(super) fn clock_us(&self) -> u64 {
        self.clock.now_us()
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn put(&self, kind: DocumentKind, id: &str, body: Vec<u8>) {
        self.store.put_document(kind, id, body, Expect::Any).await.unwrap();
    }

    pub(super) async fn put_application(&self, application: v1::Application) {
        let id = application.client_id.clone();
        let record = ApplicationRecord {
            application: Some(application),
            secrets: vec![],
        };
        self.put(DocumentKind::Application, &id, record.encode_to_vec()).await;
    }

    pub(super) async fn put_resource(&self, resource: v1::Resource, secrets: Vec<SecretDigest>) {
        let id = resource.resource_id.clone();
        let record = ResourceRecord {
            resource: Some(resource),
            secrets,
        };
        self.put(DocumentKind::Resource, &id, record.encode_to_vec()).await;
    }

    pub(super) async fn publish(&self, signer: &Signer, issuer: &str) {
        let jwk_json = serde_json::to_string(&signer.jwk).unwrap();
        self.publish_jwk(&signer.kid, jwk_json, issuer).await;
    }

    pub(super) async fn publish_jwk(&self, kid: &str, jwk_json: String, issuer: &str) {
        let record = SigningKeyRecord {
            jwk_json,
            issuer: issuer.to_owned(),
            expires_at: i64::try_from(self.now()).unwrap() + 86_400,
            use_from: 0,
            withdrawn_at: 0,
        };
        self.put(DocumentKind::SigningKey, kid, record.encode_to_vec()).await;
    }

    /// As an issuer does it: the document stays, and says so.
    pub(super) async fn withdraw_signing_key(&self, kid: &str) {
        let record = SigningKeyRecord {
            issuer: ISSUER.to_owned(),
            withdrawn_at: i64::try_from(self.now()).unwrap(),
            ..SigningKeyRecord::default()
        };
        self.put(DocumentKind::SigningKey, kid, record.encode_to_vec()).await;
    }

    pub(super) async fn withdraw_opaque_key(&self, name: &str) {
        let record = OpaqueKeyRecord {
            withdrawn_at: i64::try_from(self.now()).unwrap(),
            ..OpaqueKeyRecord::default()
        };
        self.put(DocumentKind::OpaqueKey, name, record.encode_to_vec()).await;
    }

    pub(super) fn locator(&self, spec: &Spec, format: TokenFormat) -> Locator {
        let reference = spec.binding.as_ref();
        let definition = SlotDefinition {
            client_id: &spec.client_id,
            subject: &spec.subject,
            scopes: &spec.scopes.iter().cloned().collect(),
            audiences: &spec.audiences.iter().cloned().collect(),
            format,
            actor: None,
            binding: reference.map(|value| value.reference(&Namespace::default(), &spec.client_id)),
        };
        Locator {
            home: spec.subject.home(),
            slot: definition.slot(),
            nonce: Nonce([self.nonces.fetch_add(1, Ordering::SeqCst); 16]),
        }
    }

    /// The claims of a JWT, as an issuer writes them.
    pub(super) fn claims(&self, spec: &Spec, locator: &Locator) -> Value {
        let mut claims = json!({
            "iss": ISSUER,
            "sub": spec.subject.claim(),
            "aud": spec.audiences,
            "exp": self.now() + LIFETIME_SECONDS,
            "iat": self.now(),
            "nbf": self.now(),
            "jti": locator.encode(),
            "client_id": spec.client_id,
            "azp": spec.client_id,
            "scope": spec.scopes.join(" "),
            "aut": spec.subject.authorized_user_type(),
            "binding_type": "none",
        });
        if let Some(value) = &spec.binding {
            let reference = value.reference(&Namespace::default(), &spec.client_id);
            claims["binding_ref"] = json!(reference.encode());
        }
        claims
    }

    pub(super) fn record(spec: &Spec, locator: &Locator, token: &str, format: TokenFormat) -> TokenRecord {
        let reference = spec.binding.as_ref();
        let reference = reference.map(|value| value.reference(&Namespace::default(), &spec.client_id));
        let opaque = format == TokenFormat::Opaque;
        TokenRecord {
            revision: 0,
            generation: spec.generation,
            digest: TokenDigest::of(token).0.to_vec(),
            lifetime_ms: u32::try_from(LIFETIME_SECONDS * 1_000).unwrap(),
            format: format.into(),
            binding_type: match &spec.binding {
                Some(value) => value.binding_type().into(),
                None => BindingType::None.into(),
            },
            binding_ref: reference.map(|reference| reference.0.to_vec()).unwrap_or_default(),
            client_id: spec.client_id.clone(),
            // A JWT says these itself.
            subject: if opaque { spec.subject.claim() } else { String::new() },
            audiences: if opaque { spec.audiences.clone() } else { vec![] },
            scopes: spec.scopes.clone(),
            nonce: if opaque { locator.nonce.0.to_vec() } else { vec![] },
            certificate_sha256: match &spec.binding {
                Some(BindingValue::Certificate(sha256)) => sha256.to_vec(),
                _ => vec![],
            },
            ..TokenRecord::default()
        }
    }

    pub(super) async fn store_record(&self, locator: &Locator, record: TokenRecord) {
        let issue = Issue {
            home: locator.home,
            slot: locator.slot,
            record,
            binding: BindingTag::UNBOUND,
            policy: IssuePolicy::Replace,
            limit: None,
        };
        self.store.issue(issue).await.unwrap();
    }

    /// A live JWT.
    pub(super) async fn jwt(&self, spec: &Spec) -> String {
        self.jwt_with(spec, |_, _| {}).await
    }

    /// A JWT that is live whatever it says: its record is made for the token as it came out.
    pub(super) async fn jwt_with(&self, spec: &Spec, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let locator = self.locator(spec, TokenFormat::Jwt);
        let (mut header, mut claims) = (self.signer.header(), self.claims(spec, &locator));
        change(&mut header, &mut claims);
        let token = self.signer.sign(&header.to_string(), &claims.to_string());
        self.adopt(spec, &locator, &token).await;
        token
    }

    /// Makes any text the live token of the slot, so that a refusal is not for want of a record.
    pub(super) async fn adopt(&self, spec: &Spec, locator: &Locator, token: &str) {
        self.store_record(locator, Self::record(spec, locator, token, TokenFormat::Jwt))
            .await;
    }

    /// A live opaque token.
    pub(super) async fn opaque(&self, spec: &Spec) -> String {
        self.opaque_with(spec, |_| {}).await
    }

    pub(super) async fn opaque_with(&self, spec: &Spec, change: impl FnOnce(&mut TokenRecord)) -> String {
        let locator = self.locator(spec, TokenFormat::Opaque);
        let secret = locator.nonce.0.repeat(2).try_into().unwrap();
        let token = OpaqueToken { locator, secret }.encode();
        let mut record = Self::record(spec, &locator, &token, TokenFormat::Opaque);
        change(&mut record);
        self.store_record(&locator, record).await;
        token
    }

    /// The verdict on a token that `shop` presents to `orders`.
    pub(super) async fn verdict(&self, token: &str) -> Verdict {
        self.verdict_for(token, &Resource::from(resource()), |_| {}).await
    }

    pub(super) async fn reason(&self, token: &str) -> Reason {
        self.verdict(token).await.reason
    }

    /// The error where there is no verdict.
    pub(super) async fn unanswered(&self, token: &str) -> Unavailable {
        let resource = Resource::from(resource());
        let question = question(token, &resource);
        self.validator.validate(&question).await.unwrap_err()
    }

    pub(super) async fn verdict_for<'a>(
        &self,
        token: &'a str,
        resource: &'a Resource,
        change: impl FnOnce(&mut Question<'a>),
    ) -> Verdict {
        let mut question = question(token, resource);
        change(&mut question);
        self.validator.validate(&question).await.unwrap()
    }
}

pub(super) fn question<'a>(token: &'a str, resource: &'a Resource) -> Question<'a> {
    Question {
        token: Presented(token),
        resource,
        presenter: Presenter {
            client_id: Some(SHOP),
            ..Presenter::default()
        },
        expected_client_ids: &[],
        required_scopes: &[],
        consistency: Consistency::default(),
    }
}

pub(super) fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}
