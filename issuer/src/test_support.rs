//! An issuer over the embedded store whose time and randomness a test owns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{
    BindingId, Clock, DocumentKind, DocumentStore as _, Entropy, Expect, ManualClock, Namespace, Store, TokenReference,
};
use tokenbind_index::{BindingIndex as _, SecretHash};
use tokenbind_proto::index::v1::{ApplicationRecord, SecretDigest, TokenRecord, UserRecord};
use tokenbind_proto::v1::{Application, BindingType, GrantType, TokenFormat, User};

use crate::applications::Applications;
use crate::client::{PresentedClient, Proof};
use crate::context::Issuer;
use crate::directory::Directory;
use crate::error::IssuerError;
use crate::grant::{ClientCredentials, Grant, Password};
use crate::issue::{IssueRequest, IssuedToken};
use crate::opaque::OpaqueKeys;
use crate::password::{PasswordPool, hash_password};
use crate::signing::KeyRing;
use crate::throttle::{Peer, PeerAddresses, Throttle};
use crate::trust::Trust;

/// A whole second, so that lifetimes end on one.
pub(crate) const START_US: u64 = 1_700_000_000_000_000;
pub(crate) const SECRET: &str = "the secret of every application";
pub(crate) const PASSWORD: &str = "correct horse";

/// Never repeats, and is the same in each run.
#[derive(Default)]
pub(crate) struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (index, byte) in buffer.iter_mut().enumerate() {
            *byte = count[7 - index % 8];
        }
    }
}

pub(crate) struct Harness {
    pub(crate) issuer: Issuer,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: MemoryIndex,
}

impl Harness {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(START_US));
        let memory = MemoryIndex::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        let opaque_keys = Arc::new(OpaqueKeys::generate(entropy.as_ref()));
        let throttle = Throttle::new(
            Arc::new(memory.clone()),
            Arc::clone(&opaque_keys),
            Arc::clone(&clock) as Arc<dyn Clock>,
            PeerAddresses::Tell,
        );
        let issuer = Issuer {
            applications: Arc::new(Applications::new(Arc::clone(&store), Some(Arc::new(memory.clone())))),
            store,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            namespace: Namespace::default(),
            issuer_url: "https://issuer.example".into(),
            keys: Arc::new(KeyRing::generate(entropy.as_ref()).unwrap()),
            opaque_keys,
            last_keys: Arc::default(),
            key_wait: Duration::ZERO,
            rotation: None,
            passwords: Arc::new(PasswordPool::for_this_machine(entropy.as_ref()).unwrap()),
            directory: Directory::default(),
            throttle: Arc::new(throttle),
            trust: Arc::new(Trust::nobody(Arc::clone(&clock) as Arc<dyn Clock>).into()),
            entropy,
        };
        Self { issuer, clock, memory }
    }

    /// The same issuer over a store that a test puts before the one of the harness.
    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Issuer {
        Issuer {
            applications: Arc::new(Applications::new(Arc::clone(&store), None)),
            store,
            ..self.issuer.clone()
        }
    }

    /// Declares an application with both grants, two scopes, two audiences, client-request.
    pub(crate) async fn application(
        &self,
        client_id: &str,
        format: TokenFormat,
        change: impl FnOnce(&mut Application),
    ) {
        let mut application = Application {
            client_id: client_id.to_owned(),
            token_format: format.into(),
            binding_type: BindingType::ClientRequest.into(),
            grants: vec![GrantType::Password.into(), GrantType::ClientCredentials.into()],
            scopes: vec!["read".to_owned(), "write".to_owned()],
            audiences: vec!["orders".to_owned(), "stock".to_owned()],
            ..Application::default()
        };
        change(&mut application);
        let secret = SecretDigest {
            sha256: SecretHash::of(SECRET).as_bytes().to_vec(),
            expires_at: 0,
        };
        self.record(&ApplicationRecord {
            application: Some(application),
            secrets: vec![secret],
        })
        .await;
    }

    pub(crate) async fn record(&self, record: &ApplicationRecord) {
        let client_id = &record.application.as_ref().unwrap().client_id;
        self.put(DocumentKind::Application, client_id, record.encode_to_vec())
            .await;
    }

    pub(crate) async fn user(&self, username: &str, change: impl FnOnce(&mut User)) {
        let mut user = User {
            username: username.to_owned(),
            ..User::default()
        };
        change(&mut user);
        let password_hash = hash_password(PASSWORD, self.issuer.entropy.as_ref()).unwrap();
        let record = UserRecord {
            user: Some(user),
            password_hash,
        };
        self.put(DocumentKind::User, username, record.encode_to_vec()).await;
    }

    async fn put(&self, kind: DocumentKind, id: &str, body: Vec<u8>) {
        self.memory.put_document(kind, id, body, Expect::Any).await.unwrap();
    }

    /// The record under which the token is live.
    pub(crate) async fn live(&self, token: &str) -> Option<TokenRecord> {
        let reference = TokenReference::parse(token)?;
        let record = self.memory.read(&reference.locator).await.unwrap()?;
        (record.digest == reference.digest.0).then_some(record)
    }

    /// Whether a validator would accept the token: its record, and the generation of its application.
    pub(crate) async fn accepted(&self, token: &str) -> bool {
        let Some(record) = self.live(token).await else {
            return false;
        };
        let application = self
            .memory
            .document(DocumentKind::Application, &record.client_id)
            .await
            .unwrap();
        application.is_some_and(|application| application.generation == record.generation)
    }

    /// A token for the application itself, with default scopes and audiences.
    pub(crate) async fn token(&self, client_id: &str, binding_id: &str) -> IssuedToken {
        self.issuer.issue_token(request(client_id, binding_id)).await.unwrap()
    }
}

/// What the application asks for itself.
pub(crate) fn request(client_id: &str, binding_id: &str) -> IssueRequest {
    request_with(client_id, binding_id, Box::new(ClientCredentials))
}

/// What the application asks for a user.
pub(crate) fn request_for(client_id: &str, username: &str, binding_id: &str) -> IssueRequest {
    let password = SecretString::from(PASSWORD);
    request_with(
        client_id,
        binding_id,
        Box::new(Password {
            username: username.to_owned(),
            password,
            peer: Peer::default(),
        }),
    )
}

fn request_with(client_id: &str, binding_id: &str, grant: Box<dyn Grant>) -> IssueRequest {
    IssueRequest {
        client: Some(client(client_id)),
        grant,
        scopes: Vec::new(),
        audiences: Vec::new(),
        binding_id: BindingId::parse(binding_id).unwrap(),
        certificate_sha256: None,
    }
}

pub(crate) fn client(client_id: &str) -> PresentedClient {
    PresentedClient {
        client_id: client_id.to_owned(),
        proof: Proof::Secret(SecretString::from(SECRET)),
        peer: Peer::default(),
    }
}

pub(crate) fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

pub(crate) fn text(token: &IssuedToken) -> &str {
    token.access_token.expose_secret()
}

/// The fields of a violation.
pub(crate) fn fields(error: &IssuerError) -> Vec<&str> {
    match error {
        IssuerError::Invalid { violations, .. } => {
            violations.iter().map(|violation| violation.field.as_str()).collect()
        }
        _ => Vec::new(),
    }
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(payload)
            .unwrap(),
    )
    .unwrap()
}

impl Harness {
    /// What is known of a live token.
    pub(crate) async fn live_token(&self, token: &str) -> crate::live_token::LiveToken {
        self.issuer.live_token(token).await.unwrap().unwrap()
    }
}
