//! A4 and A5: many who come with the same token, and refreshing while somebody revokes.

use std::collections::BTreeSet;

use futures::future::join_all;
use tokenbind_proto::v1::{IssueTokenResponse, ListBindingsRequest, RevokeSubjectRequest, TokenFormat};
use tokenbind_tests::{Backend, Client, Process, Stack, channel, reason};

use crate::fixture::{FORMATS, Shop};

const CALLERS: usize = 64;
/// Over gRPC. The store alone has as many rounds as the issue asks for in each of its kinds: `index/tests/store/families.rs`.
const ROUNDS: usize = 1_000;
const ROUNDS_IN_MEMORY: usize = 200;
const LOGINS: usize = 40;

/// Two issuers over one Redis; the embedded stack has one.
async fn issuers(stack: &Stack) -> (Vec<Client>, Option<Process>) {
    let Some(installation) = &stack.installation else {
        return (vec![stack.client()], None);
    };
    let (process, address) = installation.start_issuer(&[]);
    let second = Client {
        issuer: channel(&address),
        ..stack.client()
    };
    second.ready().await;
    (vec![stack.client(), second], Some(process))
}

/// How many tokens and logins ada has.
async fn live(stack: &Stack) -> (usize, usize) {
    let request = stack.as_admin(ListBindingsRequest {
        subject: "user:ada".to_owned(),
        ..Default::default()
    });
    let found = stack
        .bindings()
        .list_bindings(request)
        .await
        .unwrap()
        .into_inner()
        .bindings;
    let logins = found.iter().filter(|live| live.refreshable).count();
    (found.len() - logins, logins)
}

async fn storm(issuers: &[Client], shop: &Shop, token: &IssueTokenResponse) -> Vec<Result<IssueTokenResponse, String>> {
    let uses = (0..CALLERS).map(|caller| shop.refresh(&issuers[caller % issuers.len()], token));
    let answers = join_all(uses).await.into_iter();
    answers.map(|answer| answer.map_err(|error| reason(&error))).collect()
}

async fn one_successor(backend: Backend, rounds: usize) {
    let stack = Stack::start(backend).await;
    let (issuers, _process) = issuers(&stack).await;
    let shop = Shop::create(&stack, TokenFormat::Jwt, 64).await;
    let mut token = shop.login(&stack, "phone-1").await;
    for round in 0..rounds {
        let answers = storm(&issuers, &shop, &token).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let successors: BTreeSet<_> = answers.iter().map(|answer| &answer.refresh_token).collect();
        assert_eq!(successors.len(), 1, "round {round}");
        token = answers.into_iter().max_by_key(|answer| answer.revision).unwrap();
    }
    assert_eq!(live(&stack).await, (1, 1), "nothing forked");
    stack.assert_live(&shop.api, &token.access_token).await;
    shop.refresh(&stack, &token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_64_uses_of_one_token_have_one_successor_on_redis() {
    one_successor(Backend::Redis, ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_64_uses_of_one_token_have_one_successor_in_memory() {
    one_successor(Backend::Memory, ROUNDS_IN_MEMORY).await;
}

tokenbind_tests::on_every_backend!(
    c75_64_uses_without_grace_have_one_success_and_end_the_login,
    a5_nothing_outlives_a_revocation
);

async fn c75_64_uses_without_grace_have_one_success_and_end_the_login(stack: Stack) {
    let (issuers, _process) = issuers(&stack).await;
    let shop = Shop::create(&stack, TokenFormat::Opaque, 0).await;
    for _ in 0..LOGINS {
        let token = shop.login(&stack, "phone-1").await;
        let answers = storm(&issuers, &shop, &token).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        assert!(lost.into_iter().all(|lost| lost.unwrap_err() == "invalid_grant"));
        let successor = won.into_iter().next().unwrap().unwrap();
        let error = shop.refresh(&stack, &successor).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_grant");
        assert_eq!(live(&stack).await, (0, 0));
    }
}

/// Refreshes as fast as it can until it is refused; answers everything that it got.
async fn refresh_until_refused(client: Client, shop: &Shop, first: IssueTokenResponse) -> Vec<IssueTokenResponse> {
    let mut got = vec![first];
    loop {
        match shop.refresh(&client, &got[got.len() - 1]).await {
            Ok(next) => got.push(next),
            Err(error) => {
                assert_eq!(reason(&error), "invalid_grant");
                return got;
            }
        }
    }
}

async fn a5_nothing_outlives_a_revocation(stack: Stack) {
    let (issuers, _process) = issuers(&stack).await;
    for (format, name) in FORMATS.into_iter().zip(["jwt", "opaque"]) {
        let app = stack
            .create_app(crate::fixture::refreshing(name, format, 1))
            .await
            .unwrap();
        let api = stack.api(&format!("{name}-api"), &[&app]).await;
        let shop = Shop { app, api };
        if name == "jwt" {
            stack.user("ada", crate::fixture::PASSWORD).await;
        }
        for round in 0..30 {
            let first = shop.login(&stack, "phone-1").await;
            let by_token = first.refresh_token.clone();
            let revoke = async {
                if round % 2 == 0 {
                    stack.revoke(&shop.app, &by_token).await.map(drop)
                } else {
                    let everywhere = stack.as_admin(RevokeSubjectRequest {
                        subject: "user:ada".to_owned(),
                        ..Default::default()
                    });
                    stack.bindings().revoke_subject(everywhere).await.map(drop)
                }
                .unwrap();
                // From the acknowledgement on nothing lives, while the other side goes on.
                assert_eq!(live(&stack).await, (0, 0), "{name}, round {round}");
            };
            let client = issuers[round % issuers.len()].clone();
            let ((), got) = tokio::join!(revoke, refresh_until_refused(client, &shop, first));
            let tokens: Vec<_> = got.iter().map(|token| token.access_token.clone()).collect();
            for verdict in stack.validate_all(&shop.api, &tokens).await {
                assert_ne!(verdict.decision(), tokenbind_proto::v1::Decision::Allow);
            }
            for token in &got {
                assert_eq!(reason(&shop.refresh(&stack, token).await.unwrap_err()), "invalid_grant");
            }
        }
    }
}
