//! The catalog is a file that is replaced while the issuers run, as Kubernetes replaces a mounted `ConfigMap`.

use std::fs;

use tokenbind_proto::v1::{DeleteApplicationRequest, TokenFormat};
use tokenbind_tests::{
    ADMIN_SECRET, ADMIN_SECRET_SHA256, App, DEADLINE, Installation, RedisServer, Stack, client_credentials, wait_until,
};

fn application(client_id: &str) -> String {
    format!(
        "  - client_id: {client_id}\n    token_format: jwt\n    grants: [client_credentials]\n    scopes: [read]\n    \
         audiences: [api]\n    secret_sha256: [{ADMIN_SECRET_SHA256}]\n"
    )
}

fn app(id: &str) -> App {
    App {
        id: id.to_owned(),
        secret: ADMIN_SECRET.to_owned(),
    }
}

#[tokio::test]
async fn what_the_file_says_counts_and_a_bad_one_changes_nothing() {
    let redis = RedisServer::start();
    let installation = Installation::new(redis.url());
    let before = fs::read_to_string(installation.catalog()).unwrap();
    installation.declare(&application("first"));
    let stack = Stack::over(redis, installation, &[], &[]).await;
    let installation = stack.installation.as_ref().unwrap();
    let issues = async |id: &str| stack.issue(&app(id), client_credentials()).await.is_ok();
    assert!(issues("first").await && !issues("second").await);

    // Both must come before either counts: the file is taken as a whole.
    fs::write(installation.catalog(), before.clone() + &application("second")).unwrap();
    wait_until("the second application counts", DEADLINE, async || {
        issues("second").await.then_some(())
    })
    .await;
    wait_until("the first is gone", DEADLINE, async || {
        (!issues("first").await).then_some(())
    })
    .await;

    fs::write(
        installation.catalog(),
        before.clone() + &application("third") + "surprise: 1\n",
    )
    .unwrap();
    let log = || stack.processes[0].log();
    wait_until("the issuer complains", DEADLINE, async || {
        log().contains("surprise").then_some(())
    })
    .await;
    assert!(issues("second").await && !issues("third").await);
    stack.ready().await;

    fs::write(installation.catalog(), before + &application("third")).unwrap();
    wait_until("the third application counts", DEADLINE, async || {
        issues("third").await.then_some(())
    })
    .await;
}

/// Each document of the index by itself is lost, as a Redis that evicts against its configuration loses them.
#[tokio::test]
async fn one_document_that_the_index_lost_is_published_again() {
    let redis = RedisServer::start();
    let installation = Installation::new(redis.url());
    installation.declare(&application("first"));
    installation.declare(&format!(
        "resources:\n  - resource_id: orders\n    audiences: [api]\n    accepted_client_ids: [first]\n    \
         secret_sha256: [{ADMIN_SECRET_SHA256}]\n"
    ));
    let stack = Stack::over(redis, installation, &[], &[]).await;
    let mut connection = stack.redis.as_ref().unwrap().connection();
    let mut documents: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("tokenbind:{*}?*")
        .query(&mut connection)
        .unwrap();
    documents.retain(|key| {
        let declared: [&[u8]; 2] = [b"tokenbind:{application}", b"tokenbind:{resource}"];
        declared
            .iter()
            .any(|kind| key.starts_with(kind) && key.len() == kind.len() + 16)
    });
    assert_eq!(documents.len(), 3, "the operator, the application and the resource");
    for document in documents {
        redis::cmd("DEL").arg(&document).exec(&mut connection).unwrap();
        wait_until("it is there again", DEADLINE, async || {
            let there: bool = redis::cmd("HEXISTS")
                .arg(&document)
                .arg("d")
                .query(&mut stack.redis.as_ref().unwrap().connection())
                .unwrap();
            there.then_some(())
        })
        .await;
    }
    wait_until("it is issued to again", DEADLINE, async || {
        stack.issue(&app("first"), client_credentials()).await.ok()
    })
    .await;
}

/// A catalog that declares what was made through the API is for a person to mend. Until then the keys must not stand still: they would
/// end, and with them every JWT.
#[tokio::test]
async fn a_catalog_that_cannot_be_published_does_not_hold_up_the_keys() {
    let redis = RedisServer::start();
    let installation = Installation::new(redis.url());
    let stack = Stack::over(redis, installation, &["--key-wait-seconds", "1"], &[]).await;
    let installation = stack.installation.as_ref().unwrap();
    let made = stack.shop("made", TokenFormat::Jwt).await;
    let kid = async || {
        let token = stack.issue(&made, client_credentials()).await.unwrap().access_token;
        token.split('.').next().unwrap().to_owned()
    };
    let before = kid().await;

    installation.declare(&application("made"));
    let log = || stack.processes[0].log();
    wait_until("the issuer complains", DEADLINE, async || {
        log().contains("keys and catalog cannot be published").then_some(())
    })
    .await;
    installation.put_new_keys();
    wait_until("the new key signs", DEADLINE, async || {
        (kid().await != before).then_some(())
    })
    .await;
    let api = stack.api("api", &[&made]).await;
    let token = stack.issue(&made, client_credentials()).await.unwrap().access_token;
    stack.assert_live(&api, &token).await;
    stack.ready().await;

    // The person decides for the catalog.
    let request = stack.as_admin(DeleteApplicationRequest {
        client_id: made.id.clone(),
    });
    stack.applications().delete_application(request).await.unwrap();
    wait_until("the catalog counts", DEADLINE, async || {
        stack.issue(&app("made"), client_credentials()).await.ok()
    })
    .await;
}
