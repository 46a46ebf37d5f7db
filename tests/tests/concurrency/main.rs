//! S9, case 1: four issuers, 64 callers, 10,000 requests for one slot in each format, while other bindings are issued.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures::future::join_all;
use tokenbind_proto::v1::{IssueTokenRequest, IssueTokenResponse, Reason, TokenFormat};
use tokenbind_tests::{
    App, Ask as _, Backend, Client, DEADLINE, Process, Resource, Stack, channel, client_credentials,
};
use tonic::Code;

const ISSUERS: usize = 4;
const CALLERS: usize = 64;
const REQUESTS: usize = 10_000;
/// Bindings that are there before, and as many that are made meanwhile.
const OTHERS: usize = 32;

/// One stack with further issuers, of the same keys and catalog.
struct Cluster {
    stack: Stack,
    issuers: Vec<Client>,
    _processes: Vec<Process>,
}

/// A machine that stands still for a second makes a call UNAVAILABLE; whoever is told so asks again.
async fn issue_at_last(issuer: &Client, app: &App, request: IssueTokenRequest) -> IssueTokenResponse {
    let end = Instant::now() + DEADLINE;
    loop {
        match issuer.issue(app, request.clone()).await {
            Err(error) if error.code() == Code::Unavailable && Instant::now() < end => {}
            answer => return answer.unwrap(),
        }
    }
}

impl Cluster {
    async fn start() -> Self {
        let stack = Stack::start(Backend::Redis).await;
        let installation = stack.installation.as_ref().unwrap();
        let mut issuers = vec![stack.client()];
        let mut processes = Vec::new();
        for _ in 1..ISSUERS {
            let (process, address) = installation.start_issuer(&[]);
            processes.push(process);
            let client = Client {
                issuer: channel(&address),
                ..stack.client()
            };
            client.ready().await;
            issuers.push(client);
        }
        Self {
            stack,
            issuers,
            _processes: processes,
        }
    }

    /// Every caller asks for the one slot at any issuer, until all requests are made.
    async fn storm(&self, app: &App) -> Vec<IssueTokenResponse> {
        let next = Arc::new(AtomicUsize::new(0));
        let callers = (0..CALLERS).map(|_| {
            let (issuers, app, next) = (self.issuers.clone(), app.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= REQUESTS {
                        return answers;
                    }
                    let request = client_credentials().bound_to("the one device");
                    answers.push(issue_at_last(&issuers[number % ISSUERS], &app, request).await);
                }
            })
        });
        let answers = join_all(callers).await;
        answers.into_iter().flat_map(Result::unwrap).collect()
    }

    /// Other devices of the same subject, one after the other, at any issuer.
    async fn issue_others(&self, app: &App, name: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        for number in 0..OTHERS {
            let request = client_credentials().bound_to(&format!("{name} {number}"));
            let token = self.issuers[number % ISSUERS].issue(app, request).await.unwrap();
            assert!(!token.reused && !token.superseded, "{name} {number}");
            tokens.push(token.access_token);
        }
        tokens
    }

    async fn assert_all_live(&self, resource: &Resource, tokens: &[String]) {
        for verdict in self.stack.validate_all(resource, tokens).await {
            assert_eq!(verdict.reason(), Reason::Valid);
        }
    }
}

/// The storm, with others before and meanwhile; answers what the storm got, and the others' tokens.
async fn run(cluster: &Cluster, app: &App) -> (Vec<IssueTokenResponse>, Vec<String>) {
    let mut others = cluster.issue_others(app, "before").await;
    let unbound = cluster.stack.issue(app, client_credentials()).await.unwrap();
    others.push(unbound.access_token);
    let (answers, meanwhile) = tokio::join!(cluster.storm(app), cluster.issue_others(app, "meanwhile"));
    assert_eq!(answers.len(), REQUESTS);
    others.extend(meanwhile);
    (answers, others)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s9_case_1_one_jwt_survives_and_no_other_slot_is_touched() {
    let cluster = Cluster::start().await;
    let app = cluster.stack.shop("shop", TokenFormat::Jwt).await;
    let api = cluster.stack.api("api", &[&app]).await;
    let (mut answers, others) = run(&cluster, &app).await;

    // Each but the first superseded exactly one.
    assert_eq!(answers.iter().filter(|answer| !answer.superseded).count(), 1);
    answers.sort_unstable_by_key(|answer| answer.revision);
    assert!(answers.is_sorted_by(|earlier, later| earlier.revision < later.revision));
    let tokens: Vec<_> = answers.into_iter().map(|answer| answer.access_token).collect();
    let verdicts = cluster.stack.validate_all(&api, &tokens).await;
    let (last, earlier) = verdicts.split_last().unwrap();
    assert_eq!(last.reason(), Reason::Valid, "the last one written is the live one");
    assert!(
        earlier
            .iter()
            .all(|verdict| verdict.reason() == Reason::TokenSuperseded)
    );
    cluster.assert_all_live(&api, &others).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s9_case_1_every_caller_gets_the_same_opaque_token() {
    let cluster = Cluster::start().await;
    let app = cluster.stack.shop("shop", TokenFormat::Opaque).await;
    let api = cluster.stack.api("api", &[&app]).await;
    let (answers, others) = run(&cluster, &app).await;

    assert_eq!(answers.iter().filter(|answer| !answer.reused).count(), 1);
    let token = &answers[0].access_token;
    assert!(answers.iter().all(|answer| answer.access_token == *token));
    assert!(answers.iter().all(|answer| answer.revision == answers[0].revision));
    cluster.stack.assert_live(&api, token).await;
    assert!(!others.contains(token));
    cluster.assert_all_live(&api, &others).await;
}
