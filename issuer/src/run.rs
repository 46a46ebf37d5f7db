//! Runs an issuer: what the binary, the development stack and tests call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use thiserror::Error;
use tokenbind_index::compare_clocks;
use tokenbind_runtime::config::ServerConfig;
use tokenbind_runtime::health::{DEFAULT_INTERVAL, Readiness};
use tokenbind_runtime::metrics;
use tokenbind_runtime::server::{self, ServeError};
use tokenbind_runtime::shutdown::Shutdown;
use tokenbind_runtime::watched::LOOK_INTERVAL;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::catalog::{Catalog, CatalogSource, Patrol, PublishError, Published};
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::keys::{REFRESH_SECONDS, Renew};
use crate::telemetry;
use crate::transport::grpc;
use crate::transport::http::{self, HttpSettings};
use crate::trust::TrustError;

/// When publishing the keys is tried again after it failed: often enough to succeed long before a published key ends.
const REFRESH_RETRY: Duration = Duration::from_secs(10);

/// Why an issuer does not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The store could not be brought in line with the catalog.
    #[error("the catalog cannot be published: {0}")]
    Catalog(#[from] PublishError),
    /// The public keys could not be published, so nobody could verify what it signs.
    #[error("the public keys cannot be published: {0}")]
    Keys(IssuerError),
    /// What the catalog says of others cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// It cannot serve.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl RunError {
    /// Whether trying again later may help: the index could not be reached.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Catalog(PublishError::Failed(IssuerError::Unavailable(_))) | Self::Keys(IssuerError::Unavailable(_))
        )
    }
}

/// What an issuer is made of.
pub struct IssuerSetup {
    /// What its use cases share.
    pub issuer: Issuer,
    /// What is declared, if anything is: it is published before the issuer serves.
    pub catalog: Option<CatalogSource>,
    /// What it answers over HTTP.
    pub http: HttpSettings,
}

/// An issuer that has published what it must, and is not serving yet.
pub struct PreparedIssuer {
    issuer: Issuer,
    readiness: Readiness,
    server: ServerConfig,
    http: HttpSettings,
    shutdown: Shutdown,
}

/// Publishes what an issuer must before it serves, keeps it published in the background, and watches whether the index
/// answers.
pub async fn prepare(
    setup: IssuerSetup,
    server: ServerConfig,
    shutdown: &Shutdown,
) -> Result<PreparedIssuer, RunError> {
    let IssuerSetup { issuer, catalog, http } = setup;
    telemetry::describe();
    let published = Arc::new(AtomicBool::new(false));
    // A clock that is wrong is told by the readiness.
    let _ = compare_clocks(issuer.store.as_ref(), issuer.clock.as_ref()).await;
    let mut keeper = Keeper::new(issuer.clone(), catalog);
    match keeper.publish().await {
        Ok(()) => published.store(true, Ordering::Release),
        // It serves all the same, and says that it is not ready.
        Err(error) if error.may_pass() => keeper.tell(Some(&error)),
        Err(error) => return Err(error),
    }
    shutdown.spawn(keep_published(keeper, Arc::clone(&published)));
    let names = grpc::services(&issuer, server.max_message_bytes);
    let readiness = watch(&names.names(), &issuer, published, shutdown).await;
    Ok(PreparedIssuer {
        issuer,
        readiness,
        server,
        http,
        shutdown: shutdown.clone(),
    })
}

/// Prepares an issuer and serves until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    setup: IssuerSetup,
    server: ServerConfig,
    shutdown: Shutdown,
) -> Result<(), RunError> {
    prepare(setup, server, &shutdown).await?.serve(listener).await
}

impl PreparedIssuer {
    /// Whether its index answers: for `/readyz`.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until the shutdown that it was prepared with, and returns when the last call has ended or was cut.
    pub async fn serve(self, listener: TcpListener) -> Result<(), RunError> {
        let services = grpc::services(&self.issuer, self.server.max_message_bytes);
        let services = services.with_http(http::routes(&self.issuer, &self.http));
        Ok(server::serve(listener, services, self.server, self.readiness, self.shutdown).await?)
    }
}

async fn watch(names: &[&str], issuer: &Issuer, published: Arc<AtomicBool>, shutdown: &Shutdown) -> Readiness {
    let (store, clock) = (Arc::clone(&issuer.store), Arc::clone(&issuer.clock));
    let probe = move || {
        let (store, clock, published) = (Arc::clone(&store), Arc::clone(&clock), Arc::clone(&published));
        async move {
            let compared = compare_clocks(store.as_ref(), clock.as_ref()).await;
            metrics::clock_skew(clock.skew_us());
            compared.map_err(|error| error.to_string())?;
            let published = published.load(Ordering::Acquire);
            published
                .then_some(())
                .ok_or_else(|| "keys and catalog are not published".to_owned())
        }
        .boxed()
    };
    Readiness::watch(names, probe, DEFAULT_INTERVAL, shutdown).await
}

async fn publish_catalog(issuer: &Issuer, catalog: &Catalog) -> Result<(), RunError> {
    let Published {
        stored,
        unchanged,
        removed,
    } = catalog.publish(issuer.store.as_ref()).await?;
    tracing::info!(stored, unchanged, removed, "the catalog is published");
    Ok(())
}

/// Follows the catalog's file. Whom the issuer trusts changes at once; what it declares, when the index has it.
async fn follow_catalog(issuer: &Issuer, catalog: &mut CatalogSource, unpublished: &mut bool) -> Result<(), RunError> {
    match catalog.reload() {
        Ok(false) => {}
        Ok(true) => {
            telemetry::catalog_read(true);
            tracing::info!("the catalog has changed");
            issuer.trust.replace(catalog.catalog().trust().clone())?;
            *unpublished = true;
        }
        Err(errors) => {
            telemetry::catalog_read(false);
            let errors = errors.to_string();
            tracing::error!(errors, "the catalog has changed and cannot be used: the old one stays");
        }
    }
    if *unpublished {
        publish_catalog(issuer, catalog.catalog()).await?;
        *unpublished = false;
    }
    Ok(())
}

/// Does again and again what [`prepare`] did, as far as it is needed. What is wrong with the catalog does not hold up the keys: they
/// would end, and with them every JWT.
async fn keep_published(mut keeper: Keeper, published: Arc<AtomicBool>) {
    let refresh = Duration::from_secs(REFRESH_SECONDS);
    let mut due = Instant::now() + refresh;
    let mut wait = LOOK_INTERVAL;
    loop {
        sleep(wait).await;
        let is_due = Instant::now() >= due;
        let cataloged = keeper.keep_catalog().await;
        let kept = keeper.issuer.keep_keys(Renew::No).await.map_err(RunError::Keys);
        let lost = matches!(cataloged, Ok(true)) || matches!(kept, Ok(true));
        if lost {
            tracing::warn!("the index has lost something that was published; publishing it again");
        }
        let (outcome, renewed) = match (cataloged, kept) {
            // A store that does not answer is for the readiness to tell.
            (Err(error), _) | (_, Err(error)) if error.may_pass() => continue,
            (_, Err(error)) => {
                if matches!(error, RunError::Keys(IssuerError::KeysWithdrawn(_))) {
                    // Who balances is to find an issuer that has another key.
                    published.store(false, Ordering::Release);
                }
                (Err(error), false)
            }
            _ if lost || !published.load(Ordering::Acquire) => {
                let outcome = keeper.publish().await;
                let renewed = outcome.is_ok();
                (outcome, renewed)
            }
            (cataloged, _) if is_due => match keeper.issuer.publish_keys().await {
                Ok(()) => (cataloged.map(drop), true),
                Err(error) => (Err(RunError::Keys(error)), false),
            },
            (Err(error), _) => (Err(error), false),
            _ => (Ok(()), false),
        };
        if renewed {
            published.store(true, Ordering::Release);
            due = Instant::now() + refresh;
        }
        keeper.tell(outcome.as_ref().err());
        wait = if outcome.is_ok() { LOOK_INTERVAL } else { REFRESH_RETRY };
    }
}

/// Keeps in the index what this issuer has to publish.
struct Keeper {
    issuer: Issuer,
    catalog: Option<CatalogSource>,
    /// The catalog has changed, and the index does not have that yet.
    unpublished: bool,
    patrol: Patrol,
    /// Why it failed, as far as that was told.
    told: Option<String>,
}

impl Keeper {
    fn new(issuer: Issuer, catalog: Option<CatalogSource>) -> Self {
        Self {
            issuer,
            catalog,
            unpublished: false,
            patrol: Patrol::default(),
            told: None,
        }
    }

    /// The keys come whatever becomes of the catalog: without them nobody can verify anything.
    async fn publish(&self) -> Result<(), RunError> {
        let cataloged = match &self.catalog {
            Some(catalog) => publish_catalog(&self.issuer, catalog.catalog()).await,
            None => Ok(()),
        };
        self.issuer.publish_keys().await.map_err(RunError::Keys)?;
        cataloged
    }

    /// Takes in what changed of the catalog's file. The answer says whether the index has lost something of it.
    async fn keep_catalog(&mut self) -> Result<bool, RunError> {
        let Some(catalog) = self.catalog.as_mut() else {
            return Ok(false);
        };
        follow_catalog(&self.issuer, catalog, &mut self.unpublished).await?;
        let store = self.issuer.store.as_ref();
        let found = self.patrol.finds_all(catalog.catalog(), store).await;
        Ok(!found.map_err(PublishError::from)?)
    }

    /// Says once what is wrong, for as long as it stays the same, and that it is over.
    fn tell(&mut self, problem: Option<&RunError>) {
        let problem = problem.map(ToString::to_string);
        match news(self.told.as_deref(), problem.as_deref()) {
            Some(Ok(())) => tracing::info!("keys and catalog are published"),
            Some(Err(problem)) => {
                tracing::warn!(
                    problem,
                    "keys and catalog cannot be published; trying again until they can"
                );
            }
            None => {}
        }
        self.told = problem;
    }
}

/// What is to be told of a problem that there is now, after what was told last.
fn news<'a>(told: Option<&str>, problem: Option<&'a str>) -> Option<Result<(), &'a str>> {
    match problem {
        Some(problem) => (told != Some(problem)).then_some(Err(problem)),
        None => told.map(|_| Ok(())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_the_same_is_told_once() {
        assert_eq!(news(None, None), None);
        assert_eq!(news(None, Some("0 of 1")), Some(Err("0 of 1")));
        assert_eq!(news(Some("0 of 1"), Some("0 of 1")), None);
        assert_eq!(news(Some("0 of 1"), Some("0 of 2")), Some(Err("0 of 2")));
        assert_eq!(news(Some("0 of 2"), None), Some(Ok(())));
    }
}
