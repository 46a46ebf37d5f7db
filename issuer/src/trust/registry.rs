//! Everything that is trusted, ready to be asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use http::Uri;
use quick_cache::sync::Cache;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokenbind_index::Clock;
use tokenbind_jose::{Algorithm, PublicKeySet};
use tokenbind_proto::v1::GrantType;

use super::declared::{ExchangePolicy, IssuerKeys, TrustDeclaration, TrustedIssuer, keys_uri_problem};
use super::fetch::Fetcher;
use super::intake::{self, Assertion, Expected, MAX_CLIENT_ASSERTION_SECONDS, Purpose, Refusal, claimed_subject};
use super::jwks::{KeySource, RemoteKeys};
use super::policy::PartyRef;
use crate::application::ClientKeys;

/// How many applications' fetched keys are kept at once; those that were not used for the longest time go.
const MAX_APPLICATION_URIS: usize = 1_000;

/// What is declared cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the trusted issuer {name:?}: {problem}")]
pub struct TrustError {
    /// Which.
    pub name: String,
    /// Why.
    pub problem: String,
}

/// A trusted issuer with its keys.
struct Trusted {
    declared: TrustedIssuer,
    keys: KeySource,
}

/// Whom the issuer trusts, and for what.
pub struct Trust {
    clock: Arc<dyn Clock>,
    /// By `iss`.
    issuers: HashMap<String, Arc<Trusted>>,
    policies: Vec<ExchangePolicy>,
    /// The keys of applications, by URL.
    application_keys: Arc<Cache<String, Arc<KeySource>>>,
    system_roots: Arc<OnceLock<Arc<RootCertStore>>>,
}

/// What a trusted issuer's JWT says.
#[derive(Debug)]
pub(crate) struct Vouched<'a> {
    /// The name of the issuer.
    pub(crate) trusted_issuer: &'a str,
    /// What it says.
    pub(crate) assertion: Assertion,
}

impl Trust {
    /// What is declared; nothing is fetched yet.
    ///
    /// # Errors
    /// Only for a declaration that no catalog would let through.
    pub fn new(declaration: TrustDeclaration, clock: Arc<dyn Clock>) -> Result<Self, TrustError> {
        Self::nobody(clock).succeeded_by(declaration)
    }

    /// What is declared instead. Keys that were fetched are not fetched again where the same issuer is declared.
    ///
    /// # Errors
    /// Only for a declaration that no catalog would let through.
    pub fn succeeded_by(&self, declaration: TrustDeclaration) -> Result<Self, TrustError> {
        let mut trust = Self {
            clock: Arc::clone(&self.clock),
            issuers: HashMap::new(),
            policies: declaration.policies,
            application_keys: Arc::clone(&self.application_keys),
            system_roots: Arc::clone(&self.system_roots),
        };
        for declared in declaration.issuers {
            let same = self.issuers.get(&declared.issuer);
            if let Some(same) = same.filter(|same| same.declared == declared) {
                trust.issuers.insert(declared.issuer.clone(), Arc::clone(same));
                continue;
            }
            let name = declared.name.clone();
            let keys = trust
                .keys_of(&declared)
                .map_err(|problem| TrustError { name, problem })?;
            trust
                .issuers
                .insert(declared.issuer.clone(), Arc::new(Trusted { declared, keys }));
        }
        Ok(trust)
    }

    /// Nobody is trusted, and nothing may be exchanged.
    pub fn nobody(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            issuers: HashMap::new(),
            policies: Vec::new(),
            application_keys: Arc::new(Cache::new(MAX_APPLICATION_URIS)),
            system_roots: Arc::default(),
        }
    }

    /// Who a trusted issuer's JWT speaks for.
    pub(crate) async fn vouched(&self, token: &str, own_id: &str, purpose: Purpose) -> Result<Vouched<'_>, Refusal> {
        // Unverified: it only says whose keys must have signed.
        let claimed = claimed_subject(token).ok_or(Refusal::Invalid("it is no JWT"))?;
        let trusted = self.issuers.get(&claimed.issuer);
        let Trusted { declared, keys } = trusted.ok_or(Refusal::Invalid("its issuer is not trusted"))?.as_ref();
        let own = [own_id];
        let stated: Vec<_> = declared.audiences.iter().map(String::as_str).collect();
        let audiences = if stated.is_empty() || purpose == Purpose::Grant {
            &own[..]
        } else {
            &stated
        };
        let expected = Expected::of(declared, audiences, purpose, self.clock.now_seconds());
        Ok(Vouched {
            trusted_issuer: &declared.name,
            assertion: intake::verify(token, keys, &expected).await?,
        })
    }

    /// What an application signed itself.
    pub(crate) async fn signed_by(
        &self,
        client_id: &str,
        keys: &ClientKeys,
        token: &str,
        own_id: &str,
    ) -> Result<Assertion, Refusal> {
        let keys = match keys {
            ClientKeys::Set(json) => {
                let set = PublicKeySet::from_json(json.as_bytes(), &Algorithm::ALL);
                Arc::new(KeySource::Fixed(
                    set.map_err(|_| Refusal::Invalid("its keys cannot be used"))?,
                ))
            }
            ClientKeys::Uri(uri) => self.application_keys(uri)?,
        };
        let expected = Expected {
            purpose: Purpose::Client,
            issuer: client_id,
            audiences: &[own_id],
            types: &[],
            subject_claim: "sub",
            max_lifetime_seconds: MAX_CLIENT_ASSERTION_SECONDS,
            max_age_seconds: None,
            now: self.clock.now_seconds(),
        };
        intake::verify(token, &keys, &expected).await
    }

    /// The policy of an exchange; `None` is a refusal.
    pub(crate) fn policy(
        &self,
        grant: GrantType,
        client_id: &str,
        subject: PartyRef<'_>,
        actor: Option<PartyRef<'_>>,
    ) -> Option<&ExchangePolicy> {
        self.policies
            .iter()
            .find(|policy| policy.fits(grant, client_id, subject, actor))
    }

    fn keys_of(&self, declared: &TrustedIssuer) -> Result<KeySource, String> {
        match &declared.keys {
            IssuerKeys::Set(json) => PublicKeySet::from_json(json.as_bytes(), &declared.algorithms)
                .map(KeySource::Fixed)
                .map_err(|bad| bad.to_string()),
            IssuerKeys::Uri {
                uri,
                roots,
                bearer_token_file,
            } => {
                let uri = checked(uri)?;
                let tls = self.tls(roots, &uri)?;
                let fetcher = Fetcher::new(uri, tls, bearer_token_file.clone());
                Ok(self.remote(fetcher, &declared.algorithms))
            }
        }
    }

    fn application_keys(&self, uri: &str) -> Result<Arc<KeySource>, Refusal> {
        self.application_keys
            .get_or_insert_with(uri, || {
                let checked = checked(uri)?;
                let tls = self.tls(&[], &checked)?;
                Ok(Arc::new(self.remote(Fetcher::new(checked, tls, None), &Algorithm::ALL)))
            })
            .map_err(|problem: String| Refusal::Unreachable(problem))
    }

    fn remote(&self, fetcher: Fetcher, algorithms: &[Algorithm]) -> KeySource {
        let keys = RemoteKeys::new(fetcher, algorithms.to_vec(), Arc::clone(&self.clock));
        KeySource::Remote(Arc::new(keys))
    }

    fn tls(&self, roots: &[CertificateDer<'static>], uri: &Uri) -> Result<ClientConfig, String> {
        let roots = match (roots, uri.scheme_str()) {
            ([], Some("https")) => Arc::clone(self.system_roots.get_or_init(|| Arc::new(system_roots()))),
            (given, _) => {
                let mut store = RootCertStore::empty();
                for root in given {
                    store.add(root.clone()).map_err(|error| error.to_string())?;
                }
                Arc::new(store)
            }
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

fn checked(uri: &str) -> Result<Uri, String> {
    match keys_uri_problem(uri) {
        Some(problem) => Err(format!("the URL of its keys {problem}")),
        None => uri.parse().map_err(|error: http::uri::InvalidUri| error.to_string()),
    }
}

/// What the system trusts. Without any, no certificate verifies.
fn system_roots() -> RootCertStore {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "certificates of the system cannot be read");
    }
    store.add_parsable_certificates(found.certs);
    store
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Trust");
        debug.field("issuers", &self.issuers.keys()).finish_non_exhaustive()
    }
}
