//! The same promises on every Redis that operators run.

use std::sync::Arc;

use tokenbind_index::Namespace;
use tokenbind_index::redis::{Credentials, Password, RedisIndex, RedisOptions, TlsFiles};
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
    let servers = Arc::new(RedisSentinel::start());
    every_promise(servers.clone()).await;

    // What does not fit is told at once, with what to do.
    let url = servers.url();
    is_unfit(&url.replace("/main", "/other"), "the sentinels know no master `other`").await;
    is_unfit(
        &url.replace("+sentinel://", "+cluster://").replace("/main", ""),
        "unknown command",
    )
    .await;
    let replica = servers
        .nodes()
        .iter()
        .find(|node| node.role().as_deref() == Some("slave"));
    is_unfit(&replica.expect("a replica").url(), "is a replica: name its primary").await;
    let no_sentinel = format!("redis+sentinel://127.0.0.1:{}/main", servers.nodes()[0].port());
    is_unfit(&no_sentinel, "what answers there is no sentinel").await;
    let no_cluster = format!("redis+cluster://127.0.0.1:{}", servers.nodes()[0].port());
    is_unfit(&no_cluster, "no node of a cluster; write redis://").await;
    sentinels_have_users_of_their_own(&servers).await;
}

async fn sentinels_have_users_of_their_own(servers: &RedisSentinel) {
    for port in servers.sentinel_ports() {
        let sentinel = redis::Client::open(("127.0.0.1", port)).expect("an address");
        let mut connection = sentinel.get_connection().expect("a sentinel answers");
        for rules in [
            &["watcher", "on", ">right", "+@all", "allchannels"][..],
            &["default", "off"],
        ] {
            let mut command = redis::cmd("ACL");
            command.arg("SETUSER").arg(rules).exec(&mut connection).expect("a user");
        }
    }
    is_unfit(&servers.url(), "a sentinel says so").await;
    let mut options = servers.options();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "right\n").expect("a password");
    options.sentinel_credentials = Credentials {
        user: Some("watcher".to_owned()),
        password: Some(Password::File(file.path().to_owned())),
    };
    RedisIndex::connect(&options).await.expect("connect");
}

async fn is_unfit(url: &str, why: &str) {
    let error = RedisIndex::connect_lazily(&options(url.to_owned())).await;
    let error = error.expect_err(url).to_string();
    assert!(error.contains(why), "{error}");
}

#[tokio::test]
async fn on_a_cluster() {
    let cluster = Arc::new(RedisCluster::start());
    every_promise(cluster.clone()).await;
    is_unfit(&cluster.nodes()[0].url(), "a node of a cluster; write redis+cluster://").await;
    Box::pin(moving::every_promise(&cluster)).await;
}
