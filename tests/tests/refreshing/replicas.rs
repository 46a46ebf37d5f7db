//! R6, A21: a revocation that too few replicas have is no success.

use tokenbind_proto::v1::{
    DeleteApplicationRequest, IssueTokenResponse, Reason, RevokeApplicationRequest, RevokeBindingRequest,
    RevokeSubjectRequest, TokenFormat, UpdateApplicationRequest,
};
use tokenbind_tests::{Client, Installation, RedisServer, Stack, channel, mask, reason, retry_after, wait_until};
use tonic::{Code, Status};

use crate::fixture::{Shop, refreshing};

const ARGUMENTS: [&str; 4] = ["--redis-min-replicas", "1", "--redis-wait-ms", "300"];

async fn replicated(start: fn() -> RedisServer) -> (Stack, RedisServer) {
    let (primary, replica) = (start(), start());
    replica.follow(&primary);
    let installation = Installation::new(primary.url());
    let stack = Stack::over(primary, installation, &ARGUMENTS, &[]).await;
    (stack, replica)
}

/// Every way to revoke, at one of the issuers, on what the login before it made.
async fn revoke(
    stack: &Stack,
    issuer: &Client,
    shop: &Shop,
    way: usize,
    token: &IssueTokenResponse,
) -> Result<(), Status> {
    let subject = || "user:ada".to_owned();
    match way {
        0 => issuer.revoke(&shop.app, &token.access_token).await.map(drop),
        1 => issuer.revoke(&shop.app, &token.refresh_token).await.map(drop),
        2 => {
            let request = stack.as_admin(RevokeBindingRequest {
                subject: subject(),
                token_binding_id: "phone-1".to_owned(),
                ..Default::default()
            });
            issuer.bindings().revoke_binding(request).await.map(drop)
        }
        3 => {
            let request = stack.as_admin(RevokeSubjectRequest {
                subject: subject(),
                ..Default::default()
            });
            issuer.bindings().revoke_subject(request).await.map(drop)
        }
        4 => {
            let request = stack.as_admin(RevokeApplicationRequest {
                client_id: shop.app.id.clone(),
            });
            issuer.bindings().revoke_application(request).await.map(drop)
        }
        5 => {
            let mut application = refreshing("shop", TokenFormat::Jwt, 1);
            application.disabled = true;
            let request = stack.as_admin(UpdateApplicationRequest {
                application: Some(application),
                update_mask: Some(mask(&["disabled"])),
            });
            issuer.applications().update_application(request).await.map(drop)
        }
        _ => {
            let request = stack.as_admin(DeleteApplicationRequest {
                client_id: shop.app.id.clone(),
            });
            issuer.applications().delete_application(request).await.map(drop)
        }
    }
}

#[tokio::test]
async fn r6_a_redis_replica_that_is_cut_off_makes_a_revocation_unavailable() {
    a_cut_off_replica_is_told(RedisServer::start).await;
}

/// Not every server counts for `WAIT` what a connection did not write itself.
#[tokio::test]
async fn r6_a_valkey_replica_that_is_cut_off_makes_a_revocation_unavailable() {
    a_cut_off_replica_is_told(RedisServer::start_valkey).await;
}

async fn a_cut_off_replica_is_told(start: fn() -> RedisServer) {
    let (stack, replica) = replicated(start).await;
    let (_process, address) = stack.installation.as_ref().unwrap().start_issuer(&ARGUMENTS);
    let other_issuer = Client {
        issuer: channel(&address),
        ..stack.client()
    };
    other_issuer.ready().await;
    let shop = Shop::create(&stack, TokenFormat::Jwt, 1).await;
    for way in 0..=6 {
        let token = shop.login(&stack, "phone-1").await;
        replica.freeze();
        // Also a second time, when the primary has nothing left to do, and at an issuer that has written nothing.
        for issuer in [&stack, &other_issuer, &stack] {
            let refused = revoke(&stack, issuer, &shop, way, &token).await;
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
            async || match revoke(&stack, &stack, &shop, way, &token).await {
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
    let (mut stack, replica) = replicated(RedisServer::start).await;
    let shop = Shop::create(&stack, TokenFormat::Opaque, 1).await;
    let before = records(stack.redis.as_ref().unwrap());
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
    // Marks of acknowledged revocations are nobody's, and gone in a millisecond.
    let kinds = keys
        .iter()
        .filter(|key| !key.ends_with(b"}m"))
        .map(|key| redis::cmd("TYPE").arg(key).query::<String>(&mut connection).unwrap());
    kinds.filter(|kind| kind == "string").count()
}
