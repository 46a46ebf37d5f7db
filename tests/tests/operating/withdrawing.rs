//! The runbook for keys that leaked, with its own commands: what such a key made is refused everywhere, and no issuer uses it again.

use std::process::{Command, Output};

use tokenbind_proto::v1::consistency::Requirement;
use tokenbind_proto::v1::{Consistency, Decision, GrantType, TokenFormat, ValidateTokenRequest};
use tokenbind_tests::{
    ADMIN_ID, ADMIN_SECRET, App, Client, DEADLINE, Http, Installation, Process, RedisServer, Resource, Stack, binary,
    password, refresh, shop, start_validator, wait_until,
};

use crate::rotating::{key_set, kid};

const PASSWORD: &str = "correct horse";
const LEAKED_OPAQUE: &str = "0001.key";

/// Two issuers that wait long before they use a new key, and two validators.
struct Setting {
    stack: Stack,
    issuers: [String; 2],
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
        let (second_issuer, issuer) = installation.start_issuer(&[]);
        let (second_validator, validator) = start_validator(&url, &[]);
        let stack = Stack::over(redis, installation, &[], &[]).await;
        let mut apps = Vec::new();
        for (name, format) in [("jwt", TokenFormat::Jwt), ("opaque", TokenFormat::Opaque)] {
            let mut application = shop(name, format);
            application.grants.push(GrantType::RefreshToken.into());
            apps.push(stack.create_app(application).await.unwrap());
        }
        let [jwt, opaque] = <[App; 2]>::try_from(apps).unwrap_or_else(|_| unreachable!());
        let api = stack.api("api", &[&jwt, &opaque]).await;
        stack.user("ada", PASSWORD).await;
        Self {
            issuers: [stack.issuer_address.clone(), issuer.clone()],
            clients: [stack.client(), Client::new(&issuer, &validator)],
            stack,
            jwt,
            opaque,
            api,
            _processes: [second_issuer, second_validator],
        }
    }

    /// A command of the runbook, as an administrator runs it.
    fn run(&self, command: &str, variables: &[(&str, &str)]) -> Output {
        let programs = binary("tokenbind").parent().unwrap().to_owned();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        Command::new("sh")
            .args(["-ec", command])
            .env("PATH", path)
            .env("TOKENBIND_CLIENT_ID", ADMIN_ID)
            .env("TOKENBIND_CLIENT_SECRET", ADMIN_SECRET)
            .env("TOKENBIND_ISSUER_URL", format!("http://{}", self.issuers[0]))
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }

    /// A token that every validator has judged, and so keeps.
    async fn known(&self, app: &App) -> (String, String) {
        let issued = self.clients[0].issue(app, password("ada", PASSWORD)).await.unwrap();
        self.each(&issued.access_token, Decision::Allow).await;
        (issued.access_token, issued.refresh_token)
    }

    async fn each(&self, token: &str, decision: Decision) {
        for client in &self.clients {
            wait_until("every validator agrees", DEADLINE, async || {
                let verdict = client.validate(&self.api, token).await;
                (verdict.decision() == decision).then_some(())
            })
            .await;
        }
    }

    /// As of now: nothing is waited for.
    async fn refused_at_once(&self, token: &str) {
        for client in &self.clients {
            let request = ValidateTokenRequest {
                token: token.to_owned(),
                consistency: Some(Consistency {
                    requirement: Some(Requirement::FullyConsistent(true)),
                }),
                ..ValidateTokenRequest::default()
            };
            let verdict = client.judge(&self.api, request).await.unwrap();
            assert_eq!(verdict.decision(), Decision::Unauthenticated, "{verdict:?}");
        }
    }
}

/// The fenced commands of the runbook under a bold word.
fn runbook(word: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbook.md")).unwrap();
    let part = page.split(&format!("**{word}.**")).nth(1).unwrap();
    let part = part.split("\n**").next().unwrap();
    let block = part.split("```sh\n").nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signing_key_that_leaked_is_withdrawn_as_the_runbook_says() {
    let setting = Setting::start().await;
    let (token, _) = setting.known(&setting.jwt).await;
    let (other, _) = setting.known(&setting.opaque).await;
    let leaked = kid(&token).unwrap();
    let commands = runbook("Signing key");

    // Without a new key it is refused, and nothing has happened.
    let refused = setting.run(&commands, &[("KEY_ID", &leaked)]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("no other key"), "{told}");
    setting.each(&token, Decision::Allow).await;

    let installation = setting.stack.installation.as_ref().unwrap();
    installation.put_new_keys();
    let done = setting.run(&commands, &[("KEY_ID", &leaked)]);
    assert!(done.status.success(), "{done:?}");
    setting.refused_at_once(&token).await;
    setting.each(&token, Decision::Unauthenticated).await;
    setting.each(&other, Decision::Allow).await;
    for (client, issuer) in setting.clients.iter().zip(&setting.issuers) {
        wait_until("the key is in no set", DEADLINE, async || {
            let set = Http::new(issuer).get("/oauth2/jwks").await.body;
            (!set.contains(&leaked)).then_some(())
        })
        .await;
        wait_until("both sign with the new key", DEADLINE, async || {
            let issued = client.issue(&setting.jwt, password("ada", PASSWORD)).await.unwrap();
            (kid(&issued.access_token).unwrap() != leaked).then_some(())
        })
        .await;
    }
    let (fresh, _) = setting.known(&setting.jwt).await;
    let next = kid(&fresh).unwrap();

    // One that starts while the file is still there.
    let (_process, late) = installation.start_issuer(&[]);
    let client = Client::new(&late, &late);
    let (published, active) = key_set(&client).await;
    assert_eq!((published.len(), active), (1, next.clone()));
    let issued = client.issue(&setting.jwt, password("ada", PASSWORD)).await.unwrap();
    assert_eq!(kid(&issued.access_token), Some(next));
    setting.each(&issued.access_token, Decision::Allow).await;

    // One that has nothing else ends, and says why.
    let newest = installation.signing_key().with_file_name("0002.pem");
    std::fs::remove_file(newest).unwrap();
    let mut behind = Process::start("issuer", installation.issuer_command());
    wait_until("it ends", DEADLINE, async || behind.ended()).await;
    assert!(behind.log().contains("every signing key"), "{}", behind.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_key_that_leaked_is_withdrawn_as_the_runbook_says() {
    let setting = Setting::start().await;
    let (token, login) = setting.known(&setting.opaque).await;
    let (other, other_login) = setting.known(&setting.jwt).await;
    setting.stack.installation.as_ref().unwrap().put_new_keys();
    let done = setting.run(&runbook("Opaque key"), &[("KEY_NAME", LEAKED_OPAQUE)]);
    assert!(done.status.success(), "{done:?}");
    setting.refused_at_once(&token).await;
    setting.each(&token, Decision::Unauthenticated).await;
    // A JWT has nothing to do with it, but the login behind it has.
    setting.each(&other, Decision::Allow).await;
    for client in &setting.clients {
        for (app, login) in [(&setting.opaque, &login), (&setting.jwt, &other_login)] {
            wait_until("the login is over", DEADLINE, async || {
                let refused = client.issue(app, refresh(login)).await;
                refused
                    .is_err_and(|error| error.message().contains("not valid"))
                    .then_some(())
            })
            .await;
        }
        let issued = client.issue(&setting.opaque, password("ada", PASSWORD)).await.unwrap();
        assert_ne!(issued.access_token, token);
        setting.each(&issued.access_token, Decision::Allow).await;
        let refreshed = client.issue(&setting.opaque, refresh(&issued.refresh_token)).await;
        assert!(refreshed.is_ok(), "{refreshed:?}");
    }
}
