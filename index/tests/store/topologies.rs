//! The same promises on every Redis that operators run.

use std::sync::Arc;

use tokenbind_index::Namespace;
use tokenbind_index::redis::{RedisOptions, TlsFiles};
use tokenbind_tests::{RedisCluster, RedisSentinel, RedisServer, RedisTls};

use crate::harness::Servers;
use crate::{attempts, contract, documents, families, moving, single_use, tracking};

fn options(url: String) -> RedisOptions {
    RedisOptions::new(url.into(), Namespace::default())
}

impl Servers for RedisTls {
    fn options(&self) -> RedisOptions {
        let mut options = options(self.url());
        options.tls = TlsFiles {
            authorities: Some(self.certificates.authority()),
            client: Some(self.certificates.client()),
        };
        options
    }

    fn primaries(&self) -> Vec<&RedisServer> {
        vec![&self.server]
    }
}

impl Servers for RedisSentinel {
    fn options(&self) -> RedisOptions {
        options(self.url())
    }

    fn primaries(&self) -> Vec<&RedisServer> {
        vec![&self.nodes()[self.primary().expect("a primary")]]
    }
}

impl Servers for RedisCluster {
    fn options(&self) -> RedisOptions {
        options(self.url())
    }

    fn primaries(&self) -> Vec<&RedisServer> {
        let is_primary = |node: &&RedisServer| node.role().as_deref() == Some("master");
        self.nodes().iter().filter(is_primary).collect()
    }
}

async fn every_promise(servers: Arc<dyn Servers>) {
    contract::every_promise(&servers).await;
    families::every_promise(&servers).await;
    documents::every_promise(&servers).await;
    single_use::every_promise(&servers).await;
    attempts::every_promise(&servers).await;
    tracking::every_promise(&servers).await;
}

#[tokio::test]
async fn over_tls_with_a_client_certificate() {
    every_promise(Arc::new(RedisTls::start(true))).await;
}

#[tokio::test]
async fn behind_sentinels() {
    every_promise(Arc::new(RedisSentinel::start())).await;
}

#[tokio::test]
async fn on_a_cluster() {
    let cluster = Arc::new(RedisCluster::start());
    every_promise(cluster.clone()).await;
    Box::pin(moving::every_promise(&cluster)).await;
}
