//! Keys of both kinds are rotated again and again, under load, over several issuers and validators: nobody notices.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokenbind_proto::v1::{Decision, GetKeySetRequest, GrantType, IssueTokenResponse, TokenFormat};
use tokenbind_tests::{
    App, Ask as _, Client, DEADLINE, Installation, Process, RedisServer, Resource, Stack, client_credentials, password,
    refresh, shop, start_validator, wait_until,
};

const PASSWORD: &str = "correct horse";
/// What the issuers wait before they use a key, in seconds.
const WAIT: &str = "2";
/// For how many seconds a key of each kind comes every second. The long form: `TOKENBIND_TEST_ROTATION_SECONDS`, at most 50, because an
/// issuer takes 64 files.
const SECONDS: u64 = 10;

/// Two issuers and two validators.
struct Setting {
    stack: Stack,
    /// Each issuer with another validator.
    clients: [Client; 2],
    jwt: App,
    opaque: App,
    api: Resource,
    _processes: [Process; 2],
}

impl Setting {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let url = redis.url();
        let installation = Installation::new(url.clone());
        let wait = ["--key-wait-seconds", WAIT];
        let (second_issuer, issuer) = installation.start_issuer(&wait);
        let (second_validator, validator) = start_validator(&url, &[]);
        let stack = Stack::over(redis, installation, &wait, &[]).await;
        let refreshing = |name: &str, format| {
            let mut application = shop(name, format);
            application.grants.push(GrantType::RefreshToken.into());
            application
        };
        let jwt = stack.create_app(refreshing("jwt", TokenFormat::Jwt)).await.unwrap();
        let opaque = stack
            .create_app(refreshing("opaque", TokenFormat::Opaque))
            .await
            .unwrap();
        let api = stack.api("api", &[&jwt, &opaque]).await;
        stack.user("ada", PASSWORD).await;
        Self {
            clients: [stack.client(), Client::new(&issuer, &validator)],
            stack,
            jwt,
            opaque,
            api,
            _processes: [second_issuer, second_validator],
        }
    }
}

/// What one caller got and still holds.
#[derive(Default)]
struct Got {
    tokens: Vec<String>,
    kids: HashSet<String>,
}

async fn assert_live(clients: &[Client], api: &Resource, token: &str) {
    for client in clients {
        let verdict = client.validate(api, token).await;
        assert_eq!(verdict.decision(), Decision::Allow, "{verdict:?}");
    }
}

/// Issues, validates at once everywhere, and refreshes, each time at another issuer.
async fn call(name: String, app: App, api: Resource, clients: [Client; 2], stop: Arc<AtomicBool>) -> Got {
    let mut got = Got::default();
    let mut login: Option<IssueTokenResponse> = None;
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let client = &clients[turn % 2];
        let asked = match &login {
            None => password("ada", PASSWORD).bound_to(&name),
            Some(login) => refresh(&login.refresh_token),
        };
        let refreshed = client.issue(&app, asked).await.unwrap();
        assert_live(&clients, &api, &refreshed.access_token).await;
        login = Some(refreshed);
        let device = format!("{name}-{turn}");
        let issued = client
            .issue(&app, client_credentials().bound_to(&device))
            .await
            .unwrap();
        assert_live(&clients, &api, &issued.access_token).await;
        if let Some(kid) = kid(&issued.access_token) {
            got.kids.insert(kid);
        } else {
            // S7: whoever asks any issuer gets the same token again, whatever key it was derived with.
            let again = clients[(turn + 1) % 2].issue(&app, client_credentials().bound_to(&device));
            assert_eq!(again.await.unwrap().access_token, issued.access_token);
        }
        got.tokens.push(issued.access_token);
    }
    got
}

/// Which key signed; `None` for an opaque token.
pub(crate) fn kid(token: &str) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(token.split_once('.')?.0).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    header["kid"].as_str().map(str::to_owned)
}

pub(crate) async fn key_set(client: &Client) -> (Vec<Value>, String) {
    let set = client
        .keys()
        .get_key_set(GetKeySetRequest {})
        .await
        .unwrap()
        .into_inner();
    let jwks: Value = serde_json::from_str(&set.jwks_json).unwrap();
    (jwks["keys"].as_array().unwrap().clone(), set.active_key_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_change_every_second_lose_nothing() {
    let seconds = std::env::var("TOKENBIND_TEST_ROTATION_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let setting = Setting::start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let callers = [
        ("a", &setting.jwt),
        ("b", &setting.opaque),
        ("c", &setting.jwt),
        ("d", &setting.opaque),
    ];
    let callers = callers.map(|(name, app)| {
        let (app, api) = (app.clone(), setting.api.clone());
        tokio::spawn(call(
            name.to_owned(),
            app,
            api,
            setting.clients.clone(),
            Arc::clone(&stop),
        ))
    });
    let installation = setting.stack.installation.as_ref().unwrap();
    let begin = Instant::now();
    for second in 1..=seconds {
        let passed = async || (begin.elapsed() >= Duration::from_secs(second)).then_some(());
        wait_until("a second passes", DEADLINE, passed).await;
        installation.put_new_keys();
    }
    // Both come to use the last key.
    let keys = usize::try_from(seconds).unwrap() + 1;
    for client in &setting.clients {
        wait_until("an issuer signs with the last key", DEADLINE, async || {
            let (published, active) = key_set(client).await;
            let last = published.len() == keys && client_signs_with(client, &setting.jwt, &active).await;
            last.then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut kids = HashSet::new();
    for caller in callers {
        let got = caller.await.unwrap();
        assert!(got.tokens.len() > 3);
        kids.extend(got.kids);
        for token in &got.tokens {
            assert_live(&setting.clients, &setting.api, token).await;
        }
    }
    assert!(kids.len() > keys / 2, "{} of {keys} keys signed", kids.len());
}

async fn client_signs_with(client: &Client, app: &App, active: &str) -> bool {
    let issued = client.issue(app, client_credentials().bound_to("last")).await.unwrap();
    kid(&issued.access_token).as_deref() == Some(active)
}

#[tokio::test]
async fn a_broken_key_file_changes_nothing_and_is_told() {
    let setting = Setting::start().await;
    let installation = setting.stack.installation.as_ref().unwrap();
    let broken = installation.signing_key().with_file_name("9999.pem");
    std::fs::write(&broken, "-----BEGIN PRIV").unwrap();
    wait_until("the issuer complains", DEADLINE, async || {
        setting.stack.processes[0].log().contains("9999.pem").then_some(())
    })
    .await;
    let issued = setting.stack.issue(&setting.jwt, client_credentials()).await.unwrap();
    assert_live(&setting.clients, &setting.api, &issued.access_token).await;
    std::fs::remove_file(&broken).unwrap();
    installation.put_new_keys();
    wait_until("a good key is used", DEADLINE, async || {
        let (_, active) = key_set(&setting.clients[0]).await;
        (Some(active) != kid(&issued.access_token)).then_some(())
    })
    .await;
}
