//! A Redis behind TLS that wants certificates.

use std::path::Path;

use tokenbind_tests::{Installation, RedisTls};

use crate::slice::Slice;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn certificates_are_shown_and_can_be_replaced() {
    let redis = RedisTls::start(true);
    let authority = redis.certificates.authority();
    let (certificate, key) = redis.certificates.client();
    let arguments = [
        "--redis-ca",
        text(&authority),
        "--redis-cert",
        text(&certificate),
        "--redis-key",
        text(&key),
    ];
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
