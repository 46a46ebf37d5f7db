//! Users in LDAP.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokenbind_proto::v1::{ClaimMapping, TokenFormat, claim_mapping};
use tokenbind_tests::{App, DEADLINE, Stack, password, reason, shop, wait_until};
use tonic::{Code, Status};

use crate::slapd::{BASE, PASSWORD, READER, READER_PASSWORD, Slapd};

async fn stack(slapd: &Slapd, arguments: &[&str]) -> (Stack, TempDir) {
    stack_at(slapd, BASE, arguments).await
}

async fn stack_at(slapd: &Slapd, base: &str, arguments: &[&str]) -> (Stack, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reader");
    std::fs::write(&file, format!("{READER_PASSWORD}\n")).unwrap();
    let url = slapd.url();
    let common = [
        "--user-directory",
        &url,
        "--ldap-base-dn",
        base,
        "--ldap-bind-dn",
        READER,
        "--ldap-bind-password-file",
        file.to_str().unwrap(),
        "--ldap-attributes",
        "description",
    ];
    (Stack::redis(&[&common, arguments].concat(), &[]).await, folder)
}

async fn telling(stack: &Stack) -> App {
    let mut application = shop("shop", TokenFormat::Jwt);
    application.claims = vec![ClaimMapping {
        name: "groups".to_owned(),
        value: Some(claim_mapping::Value::UserAttribute("description".to_owned())),
    }];
    stack.create_app(application).await.unwrap()
}

async fn refusal(stack: &Stack, app: &App, username: &str, secret: &str) -> Status {
    stack.issue(app, password(username, secret)).await.unwrap_err()
}

#[tokio::test]
async fn a_user_of_ldap_gets_tokens() {
    let slapd = Slapd::start();
    let (stack, _folder) = stack(&slapd, &[]).await;
    let app = telling(&stack).await;
    let api = stack.api("api", &[&app]).await;
    // LDAP knows no case, and tokens have the name as it is in the entry.
    for name in ["alice", "ALICE"] {
        let issued = stack.issue(&app, password(name, PASSWORD)).await.unwrap();
        let token = stack.validate(&api, &issued.access_token).await.token.unwrap();
        assert_eq!(token.subject, "user:alice");
        let claims = format!("{:?}", token.claims);
        assert!(claims.contains("admin,staff"), "{claims}");
    }
    for (name, secret) in [
        ("alice", "wrong"),
        ("bob", PASSWORD),
        ("nobody", PASSWORD),
        ("passwordless", PASSWORD),
        ("reader", READER_PASSWORD),
        ("cn=Alice A.,cn=people", PASSWORD),
    ] {
        let error = refusal(&stack, &app, name, secret).await;
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::Unauthenticated, "invalid_grant"),
            "{name}"
        );
    }
    stack.issue(&app, password("alice", PASSWORD)).await.unwrap();
}

/// What has a meaning in a filter has none in a name.
#[tokio::test]
async fn a_name_never_becomes_a_filter() {
    let slapd = Slapd::start();
    let (stack, _folder) = stack(&slapd, &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    for name in [
        "a*",
        "alic*",
        "*)(uid=*",
        "alice)(|(uid=*",
        "*)(|(uid=alice",
        "alice)(!(uid=bob)",
        "\\2a",
        "al\\69ce",
        "x)(&",
        "(uid=alice)",
        "alice\0",
    ] {
        let error = refusal(&stack, &app, name, PASSWORD).await;
        assert_eq!(reason(&error), "invalid_grant", "{name:?}");
    }
    // The one who is really called so is found, and nobody else.
    let error = refusal(&stack, &app, "*", PASSWORD).await;
    assert_eq!(reason(&error), "invalid_grant");
    stack.issue(&app, password("*", "of the star")).await.unwrap();
}

/// Whatever a directory says of nobody's DN: here that it is none.
#[tokio::test]
async fn a17_who_is_not_there_is_refused_as_who_is_where_the_base_is_empty() {
    let slapd = Slapd::with("ldap", &format!("defaultsearchbase \"{BASE}\""));
    let (stack, _folder) = stack_at(&slapd, "", &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    stack.issue(&app, password("alice", PASSWORD)).await.unwrap();
    for name in ["alice", "nobody"] {
        let error = refusal(&stack, &app, name, "wrong").await;
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::Unauthenticated, "invalid_grant"),
            "{name}"
        );
    }
}

/// The server takes all of these for one name, so they are one for who guesses.
#[tokio::test]
async fn c12_another_way_to_write_a_name_is_no_fresh_start() {
    let slapd = Slapd::start();
    let (stack, _folder) = stack(&slapd, &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let names = [
        "alice",
        "ALICE",
        "\u{ff41}lice",
        "ali\u{ff43}e",
        "\u{ff21}LICE",
        "alic\u{2147}",
    ];
    for name in names {
        stack.issue(&app, password(name, PASSWORD)).await.unwrap();
    }
    for name in names.iter().cycle().take(11) {
        assert_eq!(reason(&refusal(&stack, &app, name, "wrong").await), "invalid_grant");
    }
    let held_up = refusal(&stack, &app, "al\u{2170}ce", PASSWORD).await;
    assert_eq!(reason(&held_up), "too_many_attempts");
    stack.issue(&app, password("*", "of the star")).await.unwrap();
}

/// Nobody can say who it is: an operator has to look, and a caller learns that it is not their fault.
#[tokio::test]
async fn an_unclear_entry_is_no_refusal() {
    let slapd = Slapd::start();
    let (stack, _folder) = stack(&slapd, &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    for name in ["twin", "one"] {
        let error = refusal(&stack, &app, name, PASSWORD).await;
        assert_eq!(error.code(), Code::Unavailable, "{name}");
    }
    stack.issue(&app, password("alice", PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let mut slapd = Slapd::start();
    let (stack, _folder) = stack(&slapd, &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    stack.issue(&app, password("alice", PASSWORD)).await.unwrap();
    // Restarted between two logins, it is not even noticed.
    slapd.kill();
    slapd.restart();
    stack.issue(&app, password("alice", PASSWORD)).await.unwrap();
    slapd.kill();
    for secret in [PASSWORD, "wrong"].iter().cycle().take(8) {
        let error = refusal(&stack, &app, "alice", secret).await;
        assert_eq!(error.code(), Code::Unavailable);
    }
    slapd.restart();
    wait_until("the server is found again", DEADLINE, async || {
        stack.issue(&app, password("alice", PASSWORD)).await.ok()
    })
    .await;
    let error = refusal(&stack, &app, "alice", "wrong").await;
    assert_eq!(reason(&error), "invalid_grant");
}

#[tokio::test]
async fn over_tls_the_server_proves_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let authority = || {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (ours, others) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ours).unwrap();
    let config = format!(
        "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
        file("cert", certificate.pem()),
        file("key", key.serialize_pem())
    );
    let (ours, others) = (file("ours", ours.pem()), file("others", others.pem()));
    let (ldaps, starttls) = (Slapd::with("ldaps", &config), Slapd::with("ldap", &config));
    for (slapd, flags) in [(&ldaps, &[][..]), (&starttls, &["--ldap-starttls"][..])] {
        for (ca, works) in [(&ours, true), (&others, false)] {
            let arguments = [flags, &["--user-directory-ca", ca]].concat();
            let (stack, _folder) = stack(slapd, &arguments).await;
            let app = stack.shop("shop", TokenFormat::Jwt).await;
            let outcome = stack.issue(&app, password("alice", PASSWORD)).await;
            match outcome {
                Ok(_) => assert!(works, "{}", slapd.url()),
                Err(error) => assert!(!works && error.code() == Code::Unavailable, "{error:?}"),
            }
        }
    }
}
