//! A slice through everything: issue, validate, supersede, revoke, restart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokenbind_proto::v1::{
    Decision, GrantType, TokenFormat, ValidateTokenRequest, ValidateTokenResponse, WatchTokenRequest,
};
use tokenbind_tests::{
    App, Ask as _, Client, DEADLINE, Installation, Resource, Stack, password, shop, start_validator, wait_until,
    with_authorization,
};
use tonic::{Code, Status};

/// As many subjects as make sure that a cluster of three has some on each node.
const USERS: usize = 9;
const PASSWORD: &str = "a long password";

/// Until when a validator may use what it keeps after the index was last heard, and a little.
const LEASE: Duration = Duration::from_millis(2_500);

/// Applications and users, and the tokens that they have.
pub(crate) struct Slice {
    pub(crate) stack: Stack,
    apps: Vec<App>,
    api: Resource,
    live: BTreeMap<(usize, usize), String>,
    dead: Vec<String>,
}

impl Slice {
    pub(crate) async fn start(installation: Installation, issuer: &[&str], validator: &[&str]) -> Self {
        let stack = Stack::installed(installation, issuer, validator).await;
        let mut apps = Vec::new();
        for (id, format) in [("jwt", TokenFormat::Jwt), ("opaque", TokenFormat::Opaque)] {
            let mut application = shop(id, format);
            application.grants.push(GrantType::RefreshToken.into());
            apps.push(stack.create_app(application).await.unwrap());
        }
        let accepted: Vec<_> = apps.iter().collect();
        let api = stack.api("orders", &accepted).await;
        for user in 0..USERS {
            stack.user(&format!("user-{user}"), PASSWORD).await;
        }
        let mut slice = Self {
            stack,
            apps,
            api,
            live: BTreeMap::new(),
            dead: Vec::new(),
        };
        slice.everything_works().await;
        slice
    }

    /// Each user gets a new token of each application, whatever the old one was, and what was revoked is dead.
    pub(crate) async fn everything_works(&mut self) {
        for user in 0..USERS {
            for app in 0..self.apps.len() {
                let token = self.issue(user, app).await;
                let before = self.live.insert((user, app), token.clone());
                if let Some(before) = before.filter(|before| *before != token) {
                    self.is_refused(&before).await;
                    self.dead.push(before);
                }
            }
        }
        // One of each application is revoked.
        for app in 0..self.apps.len() {
            let user = self.dead.len() % USERS;
            let token = self.live.remove(&(user, app)).unwrap();
            let what = format!("a token of user-{user} is revoked");
            let revoke = async || done(self.stack.revoke(&self.apps[app], &token).await);
            wait_until(&what, DEADLINE, revoke).await;
            self.is_refused(&token).await;
            self.dead.push(token);
        }
        for token in &self.dead {
            self.is_refused(token).await;
        }
    }

    /// A token that is watched is allowed, and then it is not.
    pub(crate) async fn is_watched_until_it_is_revoked(&mut self) {
        let (place, token) = self.live.pop_first().unwrap();
        let request = Some(Self::question(&token));
        let request = with_authorization(WatchTokenRequest { request }, &self.api.basic());
        let mut watch = self.stack.validation().watch_token(request).await.unwrap().into_inner();
        let mut next = async || watch.message().await.unwrap().unwrap().response.unwrap().decision();
        assert_eq!(next().await, Decision::Allow);
        self.stack.revoke(&self.apps[place.1], &token).await.unwrap();
        assert_eq!(next().await, Decision::Unauthenticated);
        self.dead.push(token);
    }

    /// What was live before is still, on these services and on ones that begin now.
    pub(crate) async fn nothing_is_lost(&self) {
        let (_process, address) = start_validator(self.url(), &[]);
        let later = Client::new("127.0.0.1:1", &address);
        for token in self.live.values() {
            self.is_allowed(token).await;
            self.is_judged(&later, token, Decision::Allow).await;
        }
        for token in &self.dead {
            self.is_judged(&later, token, Decision::Unauthenticated).await;
        }
    }

    /// Does something, while whatever is dead is presented all the time: no answer allows it.
    pub(crate) async fn meanwhile<T>(&self, act: impl FnOnce() -> T + Send + 'static) -> T
    where
        T: Send + 'static,
    {
        let stop = AtomicBool::new(false);
        let ask = async || {
            while !stop.load(Ordering::Relaxed) {
                for token in &self.dead {
                    if let Ok(verdict) = self.judge(&self.stack, token).await {
                        assert_ne!(verdict.decision(), Decision::Allow, "a revoked token is allowed");
                    }
                }
            }
        };
        let acting = async {
            let done = tokio::task::spawn_blocking(act).await.unwrap();
            stop.store(true, Ordering::Relaxed);
            done
        };
        let ((), done) = tokio::join!(ask(), acting);
        done
    }

    fn url(&self) -> &str {
        self.stack.installation.as_ref().unwrap().redis_url()
    }

    /// A token that is good. Issuing does not wait for replicas, so one that was issued in the last moments of a primary is lost with
    /// it, and never good again.
    async fn issue(&mut self, user: usize, app: usize) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let request = || password(&format!("user-{user}"), PASSWORD).bound_to("phone-1");
            let what = format!("user-{user} gets a token");
            let issue = async || done(self.stack.issue(&self.apps[app], request()).await);
            let token = wait_until(&what, DEADLINE, issue).await.access_token;
            let judge = async || done(self.judge(&self.stack, &token).await);
            if wait_until("a verdict", DEADLINE, judge).await.decision() == Decision::Allow {
                return token;
            }
            self.dead.push(token);
            assert!(Instant::now() < end, "no token is good");
        }
    }

    async fn is_allowed(&self, token: &str) {
        self.is_judged(&self.stack, token, Decision::Allow).await;
    }

    /// Within the lease, and until then only as long as the validator has not been told.
    async fn is_refused(&self, token: &str) {
        let since = Instant::now();
        wait_until("a dead token is refused", DEADLINE, async || {
            let verdict = done(self.judge(&self.stack, token).await)?;
            if verdict.decision() == Decision::Allow {
                assert!(since.elapsed() < LEASE, "a dead token is still allowed");
                return None;
            }
            assert_eq!(verdict.decision(), Decision::Unauthenticated);
            Some(())
        })
        .await;
    }

    async fn is_judged(&self, client: &Client, token: &str, decision: Decision) {
        wait_until("a verdict", DEADLINE, async || {
            let verdict = done(self.judge(client, token).await)?;
            assert_eq!(verdict.decision(), decision, "{verdict:?}");
            Some(())
        })
        .await;
    }

    async fn judge(&self, client: &Client, token: &str) -> Result<ValidateTokenResponse, Status> {
        client.judge(&self.api, Self::question(token)).await
    }

    fn question(token: &str) -> ValidateTokenRequest {
        let mut question = ValidateTokenRequest {
            token: token.to_owned(),
            ..Default::default()
        };
        let presenter = question.presenter.get_or_insert_default();
        "phone-1".clone_into(&mut presenter.token_binding_id);
        question
    }
}

/// The answer, or that it cannot be done for the moment, which is all that may go wrong.
pub(crate) fn done<T>(answer: Result<T, Status>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) => {
            assert!(
                matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded),
                "{error:?}"
            );
            None
        }
    }
}
