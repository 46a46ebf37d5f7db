//! What is the same for every directory elsewhere. Over real ones: `tests/tests/directory`.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use secrecy::SecretString;
use tokenbind_index::{Clock, ManualClock};
use tokenbind_runtime::config::Violations;

use super::breaker::{FAILURES, FIRST_PAUSE};
use super::external::{ExternalDirectory, Remote, RemoteError};
use super::{Directory, DirectoryArgs, KnownUser, Login};
use crate::error::IssuerError;
use crate::test_support::START_US;

const DEADLINE: Duration = Duration::from_secs(2);

#[derive(Clone)]
enum Mood {
    Refuses,
    Down,
    Odd,
    Silent,
}

struct Moody {
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Remote for Moody {
    async fn authenticate(&self, _: &Login) -> Result<Option<KnownUser>, RemoteError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Refuses => Ok(None),
            Mood::Down => Err(RemoteError::Down("down".to_owned())),
            Mood::Odd => Err(RemoteError::Odd("odd".to_owned())),
            Mood::Silent => std::future::pending().await,
        }
    }
}

struct Bench {
    directory: ExternalDirectory,
    clock: Arc<ManualClock>,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
}

fn bench(mood: Mood) -> Bench {
    let clock = Arc::new(ManualClock::new(START_US));
    let (mood, asked) = (Arc::new(Mutex::new(mood)), Arc::default());
    let remote = Moody {
        mood: Arc::clone(&mood),
        asked: Arc::clone(&asked),
    };
    let concurrency = NonZeroUsize::new(2).unwrap();
    let directory = ExternalDirectory::new(
        Box::new(remote),
        Arc::clone(&clock) as Arc<dyn Clock>,
        concurrency,
        DEADLINE,
    );
    Bench {
        directory,
        clock,
        mood,
        asked,
    }
}

impl Bench {
    async fn ask(&self) -> Result<Option<KnownUser>, IssuerError> {
        let login = Login {
            username: "alice".to_owned(),
            password: SecretString::from("correct horse"),
            client_id: "shop".to_owned(),
        };
        self.directory.authenticate(self.directory.place("shop")?, &login).await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

fn is_unavailable(outcome: &Result<Option<KnownUser>, IssuerError>) -> bool {
    matches!(outcome, Err(IssuerError::Unavailable(_)))
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_down_or_silent_is_left_alone_and_found_again() {
    for mood in [Mood::Down, Mood::Silent] {
        let bench = bench(mood);
        for _ in 0..FAILURES + 20 {
            let outcome = bench.ask().await;
            assert!(is_unavailable(&outcome), "never a refusal: {outcome:?}");
        }
        assert_eq!(bench.asked(), usize::try_from(FAILURES).unwrap());
        bench.becomes(Mood::Refuses);
        assert!(is_unavailable(&bench.ask().await));
        bench.clock.advance(FIRST_PAUSE);
        assert_eq!(bench.ask().await, Ok(None));
        assert_eq!(bench.ask().await, Ok(None));
    }
}

/// Or somebody who knows what a directory stumbles over could shut out everybody.
#[tokio::test]
async fn an_odd_answer_is_no_refusal_and_opens_no_breaker() {
    let bench = bench(Mood::Odd);
    for _ in 0..4 * FAILURES {
        assert!(is_unavailable(&bench.ask().await));
    }
    bench.becomes(Mood::Refuses);
    assert_eq!(bench.ask().await, Ok(None));
}

#[tokio::test]
async fn calls_at_once_are_bounded() {
    let bench = bench(Mood::Silent);
    let mut calls: Vec<_> = (0..10).map(|_| Box::pin(bench.ask())).collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(bench.asked(), 2);
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    directory: DirectoryArgs,
}

fn check(flags: &[&str]) -> Result<Directory, String> {
    let flags = Flags::try_parse_from(["issuer"].iter().chain(flags)).unwrap();
    let mut violations = Violations::new();
    let config = flags.directory.check(&mut violations);
    match violations.finish(config) {
        Ok(config) => Ok(config.open(Arc::new(ManualClock::new(START_US))).unwrap()),
        Err(violations) => Err(violations.to_string()),
    }
}

#[tokio::test]
async fn every_choice_of_a_directory() {
    assert!(matches!(check(&[]), Ok(Directory::Builtin)));
    for flags in [
        &["--user-directory", "grpc://127.0.0.1:9"][..],
        &["--user-directory", "ldap://localhost", "--ldap-base-dn", "dc=example"],
        &[
            "--user-directory",
            "ldap://[::1]:389/",
            "--ldap-base-dn",
            "dc=example",
            "--ldap-filter",
            "(&(objectClass=person)(|(uid={username})(mail={username})))",
        ],
    ] {
        assert!(matches!(check(flags), Ok(Directory::External(_))), "{flags:?}");
    }
}

#[test]
fn every_mistake_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, text) = (file("empty", "\n"), file("text", "no PEM"));
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--user-directory", "https://x"], &["--user-directory:"]),
        (&["--user-directory", "grpc://user:canary@x:1"], &["--user-directory:"]),
        (&["--user-directory", "ldap://x/dc=example"], &["--user-directory:"]),
        (&["--user-directory", "grpcs://x:1"], &["--user-directory-ca:"]),
        (
            &["--user-directory", "grpcs://x:1", "--user-directory-ca", &text],
            &["--user-directory-ca:"],
        ),
        (
            &["--user-directory-timeout-ms", "1", "--user-directory-concurrency", "0"],
            &["--user-directory-timeout-ms:", "--user-directory-concurrency:"],
        ),
        (
            &["--user-directory", "ldap://x", "--ldap-filter", "(uid=alice)"],
            &["--ldap-base-dn:", "--ldap-filter:"],
        ),
        (
            &[
                "--user-directory",
                "ldap://x",
                "--ldap-base-dn",
                "dc=x",
                "--ldap-filter",
                "(uid={username}",
            ],
            &["--ldap-filter:"],
        ),
        (
            &[
                "--user-directory",
                "ldap://x",
                "--ldap-base-dn",
                "dc=x",
                "--ldap-bind-dn",
                "cn=x",
                "--ldap-bind-password-file",
                &empty,
            ],
            &["--ldap-bind-password-file:"],
        ),
    ];
    for (flags, expected) in cases {
        let told = check(flags).map(|_| ()).unwrap_err();
        let names: Vec<_> = told.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, expected, "{flags:?}: {told}");
        assert!(!told.contains("canary"), "{told}");
    }
}
