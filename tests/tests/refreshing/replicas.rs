//! R6, A21: a revocation that too few replicas have is no success.

use tokenbind_proto::v1::{
    DeleteApplicationRequest, Reason, RevokeApplicationRequest, RevokeBindingRequest, RevokeSubjectRequest, TokenFormat,
};
use tokenbind_tests::{Installation, RedisServer, Stack, reason, retry_after, wait_until};
use tonic::{Code, Status};

use crate::fixture::{Shop, refreshing};

const ARGUMENTS: [&str; 4] = ["--redis-min-replicas", "1", "--redis-wait-ms", "300"];

async fn replicated() -> (Stack, RedisServer) {
    let (primary, replica) = (RedisServer::start(), RedisServer::start());
    replica.follow(&primary);
    let installation = Installation::new(primary.url());
    let stack = Stack::over(primary, installation, &ARGUMENTS, &[]).await;
    (stack, replica)
}

/// Every way to revoke, on what the login before it made.
async fn revoke(stack: &Stack, shop: &Shop, way: usize, refresh_token: &str, access_token: &str) -> Result<(), Status> {
    let subject = || "user:ada".to_owned();
    match way {
        0 => stack.revoke(&shop.app, access_token).await.map(drop),
        1 => stack.revoke(&shop.app, refresh_token).await.map(drop),
        2 => {
            let request = stack.as_admin(RevokeBindingRequest {
                subject: subject(),
                token_binding_id: "phone-1".to_owned(),
                ..Default::default()
            });
            stack.bindings().revoke_binding(request).await.map(drop)
        }
        3 => {
            let request = stack.as_admin(RevokeSubjectRequest {
                subject: subject(),
                ..Default::default()
            });
            stack.bindings().revoke_subject(request).await.map(drop)
        }
        4 => {
            let request = stack.as_admin(RevokeApplicationRequest {
                client_id: shop.app.id.clone(),
            });
            stack.bindings().revoke_application(request).await.map(drop)
        }
        5 => {
            let mut application = refreshing("shop", TokenFormat::Jwt, 1);
            application.disabled = true;
            stack.update_app(application, &["disabled"]).await
        }
        _ => {
            let request = stack.as_admin(DeleteApplicationRequest {
                client_id: shop.app.id.clone(),
            });
            stack.applications().delete_application(request).await.map(drop)
        }
    }
}

#[tokio::test]
async fn r6_a_replica_that_is_cut_off_makes_a_revocation_unavailable() {
    let (stack, replica) = replicated().await;
    let shop = Shop::create(&stack, TokenFormat::Jwt, 1).await;
    for way in 0..=6 {
        let token = shop.login(&stack, "phone-1").await;
        replica.freeze();
        // Also a second time, when the primary has nothing left to do.
        for _ in 0..2 {
            let refused = revoke(&stack, &shop, way, &token.refresh_token, &token.access_token).await;
            let error = refused.unwrap_err();
            // An application that the primary has deleted is not there to be deleted again.
            if way < 6 || error.code() != Code::NotFound {
                assert_eq!(
                    (error.code(), reason(&error)),
                    (Code::Unavailable, "temporarily_unavailable".to_owned()),
                    "{way}"
                );
                assert!(retry_after(&error).is_some());
            }
        }
        // Issuing goes on: what a failover loses of it fails closed.
        if way < 4 {
            shop.login(&stack, "phone-2").await;
        }
        replica.thaw();
        let done = wait_until(
            "the replica is heard again",
            tokenbind_tests::DEADLINE,
            async || match revoke(&stack, &shop, way, &token.refresh_token, &token.access_token).await {
                Err(error) if error.code() == Code::Unavailable => None,
                done => Some(done),
            },
        );
        let done = done.await;
        assert!(done.is_ok() || way == 6, "{way}: {done:?}");
        if way < 4 {
            stack
                .assert_dead(&shop.api, &token.access_token, Reason::TokenNotLive)
                .await;
        }
        if way == 5 {
            let mut application = refreshing("shop", TokenFormat::Jwt, 1);
            application.disabled = false;
            stack.update_app(application, &["disabled"]).await.unwrap();
        }
    }
}

/// What was acknowledged is there when the primary is not.
#[tokio::test]
async fn r6_a_revocation_that_was_acknowledged_survives_the_primary() {
    let (mut stack, replica) = replicated().await;
    let shop = Shop::create(&stack, TokenFormat::Opaque, 1).await;
    let before = records(&replica);
    for _ in 0..20 {
        let token = shop.login(&stack, "phone-1").await;
        wait_until("the replica has the login", tokenbind_tests::DEADLINE, async || {
            (records(&replica) == before + 2).then_some(())
        })
        .await;
        stack.revoke(&shop.app, &token.refresh_token).await.unwrap();
        assert_eq!(records(&replica), before);
    }
    stack.redis.as_mut().unwrap().kill();
    redis::cmd("REPLICAOF")
        .arg(&["NO", "ONE"])
        .exec(&mut replica.connection())
        .unwrap();
    assert_eq!(records(&replica), before);
}

/// How many tokens and logins a Redis has, of everybody.
fn records(redis: &RedisServer) -> usize {
    let mut connection = redis.connection();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("tokenbind:{*").query(&mut connection).unwrap();
    let kinds = keys
        .iter()
        .map(|key| redis::cmd("TYPE").arg(key).query::<String>(&mut connection).unwrap());
    kinds.filter(|kind| kind == "string").count()
}
