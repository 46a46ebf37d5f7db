//! `tokenbind binding` and `tokenbind app revoke-tokens`.

use tokenbind_tests::DevStack;

use super::support::Tokenbind;

fn issue(shop: &Tokenbind, device: &str) -> String {
    let arguments = [
        "token",
        "issue",
        "-q",
        "--username",
        "alice",
        "--token-binding-id",
        device,
    ];
    let answer = shop.run_with_input(&[&arguments[..], &["--password-stdin"]].concat(), "wonderland");
    answer.fine().line().to_owned()
}

fn listed(caller: &Tokenbind, more: &[&str]) -> Vec<(String, String)> {
    let line = [&["binding", "list", "user:alice", "--json"], more].concat();
    let answer = caller.run(&line).fine().json();
    let bindings = answer["bindings"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut listed: Vec<_> = bindings
        .map(|binding| (text(&binding["client_id"]), text(&binding["binding"]["ref"])))
        .collect();
    listed.sort();
    listed
}

#[test]
fn an_application_sees_its_own_bindings_and_an_administrator_all() {
    let stack = DevStack::start(&[]);
    let (jwt, opaque) = (
        Tokenbind::as_app(&stack, "shop-jwt"),
        Tokenbind::as_app(&stack, "shop-opaque"),
    );
    let tokens = [
        issue(&jwt, "phone-1"),
        issue(&jwt, "phone-2"),
        issue(&opaque, "phone-1"),
    ];
    let admin = Tokenbind::as_admin(&stack);
    // Each login with its access token.
    assert_eq!(listed(&jwt, &[]).len(), 4);
    assert_eq!(listed(&opaque, &[]).len(), 2);
    assert_eq!(listed(&admin, &[]).len(), 6);
    assert_eq!(listed(&admin, &["--application", "shop-opaque"]), listed(&opaque, &[]));

    let text = admin.run(&["binding", "list", "user:alice"]).fine().stdout;
    assert!(text.contains("client-request") && !text.contains("phone-1"), "{text}");
    assert!(tokens.iter().all(|token| !text.contains(token.as_str())));
    let text = admin.run(&["binding", "list", "user:nobody"]).fine().stdout;
    assert!(
        text.contains("no live binding") && !text.contains("user:user:"),
        "{text}"
    );
}

#[test]
fn a_bare_username_is_not_taken_for_a_user_who_has_nothing() {
    let stack = DevStack::start(&[]);
    let admin = Tokenbind::as_admin(&stack);
    for command in [
        &["binding", "list", "alice"][..],
        &["binding", "revoke", "alice", "--all"],
    ] {
        let text = admin.run(command).fine().stdout;
        assert!(text.contains("the user of that name is user:alice"), "{text}");
    }
    // Which of the two ways to revoke is meant must be said, and both are named.
    let refused = admin.run(&["binding", "revoke", "user:alice"]).ended(2).stderr;
    assert!(
        refused.contains("--token-binding-id") && refused.contains("--all"),
        "{refused}"
    );
    admin
        .run(&["binding", "revoke", "user:alice", "--all", "--token-binding-id", "x"])
        .ended(2);
}

#[test]
fn a_lost_phone_is_revoked_and_nothing_else() {
    let stack = DevStack::start(&[]);
    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let (lost, kept) = (issue(&shop, "phone-1"), issue(&shop, "phone-2"));
    let revoke = ["binding", "revoke", "user:alice", "--token-binding-id", "phone-1"];
    let answer = shop.run(&[&revoke[..], &["--json"]].concat()).fine().json();
    assert_eq!(answer["revoked"], 2);
    shop.run(&["validate", &lost]).ended(1);
    shop.run(&["validate", &kept]).fine();

    // As an administrator, in every application at once.
    let opaque = Tokenbind::as_app(&stack, "shop-opaque");
    let elsewhere = issue(&opaque, "phone-2");
    let admin = Tokenbind::as_admin(&stack);
    let answer = admin
        .run(&["binding", "revoke", "user:alice", "--all", "--json"])
        .fine()
        .json();
    assert_eq!(answer["revoked"], 4);
    for token in [&kept, &elsewhere] {
        admin.run(&["validate", token]).ended(1);
    }
    shop.run(&["binding", "revoke", "user:alice"]).ended(2);
}

#[test]
fn every_token_of_an_application_dies_at_once() {
    let stack = DevStack::start(&[]);
    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let other = Tokenbind::as_app(&stack, "shop-opaque");
    let (dead, kept) = (issue(&shop, "phone-1"), issue(&other, "phone-1"));
    let admin = Tokenbind::as_admin(&stack);
    admin.run(&["app", "revoke-tokens", "shop-jwt"]).fine();
    let verdict = admin.run(&["validate", &dead, "--json"]).ended(1).json();
    assert_eq!(verdict["reason"], "APPLICATION_REVOKED");
    admin.run(&["validate", &kept]).fine();
    let again = issue(&shop, "phone-1");
    admin.run(&["validate", &again]).fine();
    // Of another application it is refused.
    other.run(&["app", "revoke-tokens", "shop-jwt"]).ended(3);
    admin.run(&["validate", &again]).fine();
}
