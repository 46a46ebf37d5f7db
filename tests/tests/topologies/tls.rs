//! Redis behind TLS that wants certificates: alone, under Sentinel, in a Cluster.

use tokenbind_tests::{Installation, RedisCertificates, RedisCluster, RedisSentinel, RedisTls};

use crate::slice::Slice;

/// What both services are started with.
fn arguments(certificates: &RedisCertificates) -> Vec<&'static str> {
    let arguments = certificates.service_arguments();
    arguments.into_iter().map(|argument| &*argument.leak()).collect()
}

async fn start(url: String, certificates: &RedisCertificates) -> Slice {
    let validator = arguments(certificates);
    let issuer = [&validator[..], &["--redis-min-replicas", "1"]].concat();
    Slice::start(Installation::new(url), &issuer, &validator).await
}

#[tokio::test]
async fn certificates_are_shown_and_can_be_replaced() {
    let redis = RedisTls::start(true);
    let arguments = arguments(&redis.certificates);
    let mut slice = Slice::start(Installation::new(redis.url()), &arguments, &arguments).await;

    // Everything is replaced, the authority too, and every connection is made again.
    redis.certificates.renew();
    let settings = redis.certificates.server_settings(redis.port());
    let mut reload = redis::cmd("CONFIG");
    reload.arg("SET");
    for setting in &settings[2..] {
        reload.arg(setting.trim_start_matches("--"));
    }
    reload.exec(&mut redis.server.connection()).unwrap();
    redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal"])
        .exec(&mut redis.server.connection())
        .unwrap();
    slice.everything_works().await;
}

#[tokio::test]
async fn sentinels_and_the_primaries_that_they_name_are_found_over_tls() {
    let certificates = RedisCertificates::new();
    let mut redis = RedisSentinel::start_tls(&certificates);
    let url = redis.url();
    assert!(url.starts_with("rediss+sentinel://"), "{url}");
    let mut slice = start(url, &certificates).await;

    let _redis = slice
        .meanwhile(move || {
            redis.node(0).kill();
            redis.wait_for_primary_other_than(0);
            redis.node(0).restart();
            redis.wait_until_whole();
            redis
        })
        .await;
    slice.everything_works().await;
}

#[tokio::test]
async fn the_nodes_of_a_cluster_are_found_over_tls() {
    let certificates = RedisCertificates::new();
    let mut redis = RedisCluster::start_tls(&certificates);
    let url = redis.url();
    assert!(url.starts_with("rediss+cluster://"), "{url}");
    let mut slice = start(url, &certificates).await;

    let _redis = slice
        .meanwhile(move || {
            let applications = redis.slot(b"{application}");
            let primary = redis.owner(applications).unwrap();
            redis.node(primary).kill();
            redis.wait_for_owner_other_than(applications, primary);
            redis.node(primary).restart();
            redis.wait_until_whole();
            redis
        })
        .await;
    slice.everything_works().await;
}
