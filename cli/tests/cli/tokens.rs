//! `tokenbind token` and `tokenbind validate`.

use serde_json::json;
use tokenbind_tests::DevStack;

use super::support::Tokenbind;

const ALICE: [&str; 5] = ["token", "issue", "--username", "alice", "--password-stdin"];

fn alice(more: &[&'static str]) -> Vec<&'static str> {
    [&ALICE[..], more].concat()
}

#[test]
fn a_user_gets_a_token_and_it_is_judged() {
    let stack = DevStack::start(&[]);
    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let issue = alice(&["--token-binding-id", "phone-1", "--scope", "orders.write", "--json"]);
    let issued = shop.run_with_input(&issue, "wonderland\n").fine().json();
    assert_eq!(issued["scopes"], json!(["orders.write"]));
    assert_eq!(issued["binding"]["type"], "client-request");
    assert_eq!(issued["superseded"], false);
    let token = issued["access_token"].as_str().unwrap();

    let verdict = shop.run(&["validate", token, "--json"]).fine().json();
    assert_eq!(verdict["decision"], "ALLOW");
    assert_eq!(verdict["token"]["subject"], "user:alice");
    assert_eq!(verdict["token"]["claims"]["email"], "alice@example.com");
    let text = shop.run(&["validate", token]).fine().stdout;
    assert!(text.contains("ALLOW") && text.contains("user:alice"), "{text}");

    for (arguments, reason) in [
        (["--require-scope", "orders.read"], "SCOPE_INSUFFICIENT"),
        (["--token-binding-id", "phone-2"], "BINDING_MISMATCH"),
        (["--presenter", "shop-opaque"], "CLIENT_MISMATCH"),
        (["--expect-client", "shop-opaque"], "CLIENT_MISMATCH"),
    ] {
        let line = [&["validate", token, "--json"], &arguments[..]].concat();
        let verdict = shop.run(&line).ended(1).json();
        assert_eq!(verdict["reason"], reason);
        assert_eq!(verdict["decision"], "PERMISSION_DENIED");
    }
    let own = [
        "validate",
        token,
        "--token-binding-id",
        "phone-1",
        "--presenter",
        "shop-jwt",
    ];
    shop.run(&own).fine();
}

#[test]
fn a_second_jwt_supersedes_and_an_opaque_token_is_used_again() {
    let stack = DevStack::start(&[]);
    let quiet = alice(&["--token-binding-id", "phone-1", "--quiet"]);
    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let first = shop.run_with_input(&quiet, "wonderland").fine();
    let second = shop.run_with_input(&quiet, "wonderland").fine();
    let verdict = shop.run(&["validate", first.line(), "--json"]).ended(1).json();
    assert_eq!(verdict["reason"], "TOKEN_SUPERSEDED");
    shop.run_with_input(&["validate", "-"], second.line()).fine();

    let shop = Tokenbind::as_app(&stack, "shop-opaque").with("TOKENBIND_PASSWORD", "wonderland");
    let issue = ["token", "issue", "--username", "alice", "--json"];
    let first = shop.run(&issue).fine().json();
    let second = shop.run(&issue).fine().json();
    assert_eq!(first["access_token"], second["access_token"]);
    assert_eq!((&first["reused"], &second["reused"]), (&json!(false), &json!(true)));
}

#[test]
fn a_revoked_token_is_refused_and_introspected_as_inactive() {
    let stack = DevStack::start(&[]);
    let resource = stack.resource();
    let shop = Tokenbind::as_app(&stack, "shop-opaque")
        .with("TOKENBIND_RESOURCE", &resource.id)
        .with("TOKENBIND_RESOURCE_SECRET", &resource.secret);
    // Without a user, the application asks for itself.
    let token = shop.run(&["token", "issue", "-q"]).fine();
    let inspect = ["token", "inspect", "-", "--introspect", "--json"];
    let seen = shop.run_with_input(&inspect, &token.stdout).fine().json();
    assert_eq!(seen["format"], "opaque");
    assert_eq!(seen["verified"], false);
    assert_eq!(seen["introspection"]["active"], true);
    assert_eq!(seen["introspection"]["sub"], "shop-opaque");

    shop.run_with_input(&["token", "revoke", "-"], token.line()).fine();
    // Once more is fine as well (RFC 7009).
    shop.run(&["token", "revoke", token.line()]).fine();
    let seen = shop.run_with_input(&inspect, token.line()).ended(1).json();
    assert_eq!(seen["introspection"], json!({"active": false}));
    let verdict = shop.run(&["validate", token.line(), "--json"]).ended(1).json();
    assert_eq!(verdict["reason"], "TOKEN_NOT_LIVE");
}

#[test]
fn a_token_of_another_application_is_not_revoked() {
    let stack = DevStack::start(&[]);
    let token = Tokenbind::as_app(&stack, "shop-jwt")
        .run(&["token", "issue", "-q"])
        .fine();
    let intruder = Tokenbind::as_app(&stack, "intruder");
    let refused = intruder.run(&["token", "revoke", token.line()]).ended(3);
    assert!(refused.stderr.contains("unauthorized_client"), "{}", refused.stderr);
    intruder.run(&["validate", token.line()]).fine();
}

#[test]
fn inspecting_asks_nobody_and_says_that_nothing_is_verified() {
    let stack = DevStack::start(&[]);
    let token = Tokenbind::as_app(&stack, "shop-jwt")
        .run(&["token", "issue", "-q"])
        .fine();
    drop(stack);
    let text = Tokenbind::new().run(&["token", "inspect", token.line()]).fine().stdout;
    assert!(text.contains("not verified") && text.contains("at+jwt"), "{text}");
    Tokenbind::new().run(&["token", "inspect", "nonsense"]).ended(2);
}
