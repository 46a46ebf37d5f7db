//! Fills an index with live tokens.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::redis::{RedisIndex, RedisOptions, RedisTracking};
use tokenbind_index::{BindingId, Clock, Namespace, Store, Subject, SystemClock, SystemEntropy};
use tokenbind_issuer::application::Application;
use tokenbind_issuer::applications::{Applications, LEASE};
use tokenbind_issuer::client::{PresentedClient, Proof};
use tokenbind_issuer::directory::Directory;
use tokenbind_issuer::grant::{Authorization, Grant};
use tokenbind_issuer::issue::IssueRequest;
use tokenbind_issuer::opaque::OpaqueKeys;
use tokenbind_issuer::password::PasswordPool;
use tokenbind_issuer::signing::KeyRing;
use tokenbind_issuer::throttle::{self, PeerAddresses, Throttle};
use tokenbind_issuer::trust::Trust;
use tokenbind_issuer::{Issuer, IssuerError};
use tokenbind_proto::v1::{GrantType, IssueTokenResponse};

use super::args::Format;
use super::credentials::{Credentials, binding_id, own_client_id};
use super::failed;
use super::peer::{Method, Peer, framed};
use super::workload::{ISSUE, issue_request};
use crate::error::CliError;

/// The claim `iss`.
pub(super) const ISSUER_URL: &str = "http://localhost:7001";
/// Tokens in flight.
const IN_FLIGHT: usize = 256;
/// How often a token is tried again.
const ATTEMPTS: usize = 20;

/// A live token, and who may present it.
#[derive(Clone)]
pub(super) struct Filled {
    pub(super) token: String,
    pub(super) client_id: String,
    pub(super) binding_id: String,
}

/// An issuer over a Redis, with keys of its own.
pub(super) async fn issuer(redis_url: &SecretString, namespace: &Namespace) -> Result<Issuer, CliError> {
    let options = RedisOptions::new(redis_url.clone(), namespace.clone());
    let index = RedisIndex::connect(&options).await.map_err(failed)?;
    let entropy = SystemEntropy;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let opaque_keys = Arc::new(OpaqueKeys::generate(&entropy));
    let counters = Arc::new(index.clone());
    let throttle = Throttle::new(
        counters,
        Arc::clone(&opaque_keys),
        Arc::clone(&clock),
        PeerAddresses::Tell,
    );
    let store: Arc<dyn Store> = Arc::new(index);
    let tracking = RedisTracking::start(&options, Arc::clone(&clock), LEASE).map_err(failed)?;
    Ok(Issuer {
        applications: Arc::new(Applications::new(Arc::clone(&store), Some(Arc::new(tracking)))),
        store,
        directory: Directory::default(),
        throttle: Arc::new(throttle),
        trust: Arc::new(Trust::nobody(Arc::clone(&clock)).into()),
        clock,
        namespace: namespace.clone(),
        issuer_url: ISSUER_URL.into(),
        keys: Arc::new(KeyRing::generate(&entropy).map_err(failed)?),
        opaque_keys,
        last_keys: Arc::default(),
        key_wait: Duration::ZERO,
        rotation: None,
        passwords: Arc::new(PasswordPool::for_this_machine(&entropy).map_err(failed)?),
        entropy: Arc::new(entropy),
    })
}

/// Tokens of as many users, each on a device of its own, made in this process by an issuer whose keys are published.
pub(super) async fn own(
    issuer: &Issuer,
    format: Format,
    numbers: Range<u64>,
    credentials: &Credentials,
) -> Result<Vec<Filled>, CliError> {
    let issuer = Arc::new(issuer.clone());
    let tokens = stream::iter(numbers).map(|number| {
        let (issuer, credentials) = (Arc::clone(&issuer), credentials.clone());
        let made = tokio::spawn(async move { one(&issuer, format, number, &credentials).await });
        async move { made.await.map_err(failed)? }
    });
    tokens.buffered(IN_FLIGHT).try_collect().await
}

async fn one(issuer: &Issuer, format: Format, number: u64, credentials: &Credentials) -> Result<Filled, CliError> {
    let (client_id, binding_id) = (own_client_id(format), binding_id(number));
    let mut attempts = 0;
    loop {
        let request = IssueRequest {
            client: Some(PresentedClient {
                client_id: client_id.clone(),
                proof: Proof::Secret(credentials.client_secret().clone()),
                peer: throttle::Peer::default(),
            }),
            grant: Box::new(Loaded(Subject::User(format!("bench-{number:08}")))),
            scopes: Vec::new(),
            audiences: Vec::new(),
            binding_id: BindingId::parse(&binding_id).map_err(failed)?,
            certificate_sha256: None,
        };
        match issuer.issue_token(request).await {
            Ok(token) => {
                return Ok(Filled {
                    token: token.access_token.expose_secret().to_owned(),
                    client_id,
                    binding_id,
                });
            }
            // Filling is no measurement: a machine that is busy with something else may be late.
            Err(IssuerError::Unavailable(_)) if attempts < ATTEMPTS => attempts += 1,
            Err(error) => return Err(failed(error)),
        }
    }
}

/// A user without a password: hashing passwords would take longer than everything that is measured.
struct Loaded(Subject);

#[async_trait]
impl Grant for Loaded {
    fn grant_type(&self) -> GrantType {
        GrantType::ClientCredentials
    }

    async fn authorize(&self, _: &Issuer, _: &Application) -> Result<Authorization, IssuerError> {
        Ok(Authorization::of(self.0.clone()))
    }
}

/// Tokens from a running issuer, one for each slot.
pub(super) async fn from_issuer(
    address: SocketAddr,
    slots: Range<u64>,
    credentials: &Credentials,
) -> Result<Vec<Filled>, CliError> {
    let peer = Peer::connect(address).await.map_err(failed)?;
    let method = Method::new(address, ISSUE, None).map_err(failed)?;
    let tokens = stream::iter(slots).map(|slot| {
        let request = issue_request(slot, credentials);
        let (peer, method) = (&peer, &method);
        async move {
            let answer = peer.call(method, framed(&request)).await.map_err(failed)?;
            let answer = IssueTokenResponse::decode(answer).map_err(failed)?;
            Ok::<_, CliError>(Filled {
                token: answer.access_token,
                client_id: request.client_id,
                binding_id: request.token_binding_id,
            })
        }
    });
    tokens.buffered(IN_FLIGHT / 2).try_collect().await
}
