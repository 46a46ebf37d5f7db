//! `tokenbind app`, `user`, `resource` and `keys`.

use serde_json::json;
use tokenbind_tests::DevStack;

use super::support::Tokenbind;

#[test]
fn an_application_is_made_changed_used_and_deleted() {
    let stack = DevStack::start(&[]);
    let admin = Tokenbind::as_admin(&stack);
    let create = [
        "app",
        "create",
        "till",
        "--json",
        "--token-format",
        "opaque",
        "--binding-type",
        "client-request",
        "--grant",
        "client_credentials",
        "--scope",
        "orders.read",
        "--scope",
        "orders.write",
        "--default-scope",
        "orders.read",
        "--audience",
        "orders-api",
        "--claim",
        "tier=gold",
        "--lifetime",
        "60",
    ];
    let made = admin.run(&create).fine().json();
    assert_eq!(made["token_format"], "opaque");
    assert_eq!(made["claims"], json!([{"name": "tier", "static_value": "gold"}]));
    let secret = made["client_secret"].as_str().unwrap();
    admin.run(&create).ended(1);

    let till = Tokenbind::at(&stack)
        .with("TOKENBIND_CLIENT_ID", "till")
        .with("TOKENBIND_CLIENT_SECRET", secret);
    let token = till.run(&["token", "issue", "-q"]).fine();
    assert!(token.line().starts_with("tbo_"));

    let update = [
        "app",
        "update",
        "till",
        "--json",
        "--display-name",
        "Till 7",
        "--clear",
        "default_scopes",
    ];
    let changed = admin.run(&update).fine().json();
    assert_eq!(changed["display_name"], "Till 7");
    assert_eq!(changed["default_scopes"], json!([]));
    assert_eq!(changed["scopes"], json!(["orders.read", "orders.write"]));
    assert!(changed.get("client_secret").is_none());
    admin.run(&["app", "update", "till"]).ended(2);

    let shown = admin.run(&["app", "get", "till"]).fine().stdout;
    assert!(shown.contains("Till 7") && shown.contains("60 s"), "{shown}");
    let list = admin.run(&["app", "list"]).fine().stdout;
    for id in ["CLIENT ID", "till", "shop-jwt", "admin"] {
        assert!(list.contains(id), "{list}");
    }

    admin.run(&["app", "delete", "till"]).fine();
    admin.run(&["app", "get", "till"]).ended(1);
    admin.run(&["validate", token.line()]).ended(1);
    till.run(&["token", "issue", "-q"]).ended(3);
}

#[test]
fn a_rotated_secret_replaces_the_old_one() {
    let stack = DevStack::start(&[]);
    let admin = Tokenbind::as_admin(&stack);
    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let rotated = admin.run(&["app", "rotate-secret", "shop-jwt", "--overlap", "60", "--json"]);
    let rotated = rotated.fine().json();
    let renewed = Tokenbind::as_app(&stack, "shop-jwt")
        .with("TOKENBIND_CLIENT_SECRET", rotated["client_secret"].as_str().unwrap());
    shop.run(&["token", "issue", "-q"]).fine();
    renewed.run(&["token", "issue", "-q"]).fine();
    let text = admin.run(&["app", "rotate-secret", "shop-jwt"]).fine().stdout;
    assert!(text.contains("tbs_"), "{text}");
    shop.run(&["token", "issue", "-q"]).ended(3);
}

#[test]
fn a_user_is_made_changed_and_deleted() {
    let stack = DevStack::start(&[]);
    let admin = Tokenbind::as_admin(&stack);
    let create = [
        "user",
        "create",
        "bob",
        "--json",
        "--password-stdin",
        "--attribute",
        "email=bob@example.com",
    ];
    let made = admin.run_with_input(&create, "correct horse").fine().json();
    assert_eq!(made["attributes"]["email"], "bob@example.com");

    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let issue = ["token", "issue", "-q", "--username", "bob", "--password-stdin"];
    let token = shop.run_with_input(&issue, "correct horse").fine();
    let update = ["user", "update", "bob", "--password-stdin"];
    admin.run_with_input(&update, "battery staple").fine();
    // A changed password ends what the old one began.
    admin.run(&["validate", token.line()]).ended(1);
    shop.run_with_input(&issue, "correct horse").ended(3);
    shop.run_with_input(&issue, "battery staple").fine();

    admin.run(&["user", "update", "bob", "--disabled"]).fine();
    shop.run_with_input(&issue, "battery staple").ended(3);
    let shown = admin.run(&["user", "get", "bob", "--json"]).fine().json();
    assert_eq!(shown["disabled"], true);
    let list = admin.run(&["user", "list"]).fine().stdout;
    assert!(list.contains("alice") && list.contains("bob"), "{list}");
    admin.run(&["user", "delete", "bob"]).fine();
    admin.run(&["user", "get", "bob"]).ended(1);
}

#[test]
fn a_resource_is_made_changed_used_and_deleted() {
    let stack = DevStack::start(&["--caller-auth"]);
    let admin = Tokenbind::as_admin(&stack);
    let create = ["resource", "create", "ledger", "--json", "--audience", "orders-api"];
    let made = admin.run(&create).fine().json();
    let ledger = Tokenbind::as_app(&stack, "shop-jwt")
        .with("TOKENBIND_RESOURCE", "ledger")
        .with("TOKENBIND_RESOURCE_SECRET", made["resource_secret"].as_str().unwrap());
    let token = ledger.run(&["token", "issue", "-q"]).fine();
    let verdict = ledger.run(&["validate", token.line(), "--json"]).ended(1).json();
    assert_eq!(verdict["reason"], "CLIENT_NOT_ACCEPTED");
    let update = [
        "resource",
        "update",
        "ledger",
        "--accept-client",
        "shop-jwt",
        "--accept-client",
        "shop-opaque",
    ];
    admin.run(&update).fine();
    ledger.run(&["validate", token.line()]).fine();

    let shown = admin.run(&["resource", "get", "ledger", "--json"]).fine().json();
    assert_eq!(shown["accepted_client_ids"], json!(["shop-jwt", "shop-opaque"]));
    assert_eq!(shown["allow_stale_seconds"], 0);
    let stale = |seconds| {
        admin.run(&[
            "resource",
            "update",
            "ledger",
            "--json",
            "--allow-stale-seconds",
            seconds,
        ])
    };
    stale("301").ended(2);
    let shown = stale("30").fine().json();
    assert_eq!(shown["allow_stale_seconds"], 30);
    assert_eq!(shown["accepted_client_ids"], json!(["shop-jwt", "shop-opaque"]));
    let shown = admin.run(&["resource", "get", "ledger"]).fine().stdout;
    assert!(shown.contains("30 s"), "{shown}");
    let list = admin.run(&["resource", "list"]).fine().stdout;
    assert!(list.contains("ledger") && list.contains("orders-api"), "{list}");
    admin.run(&["resource", "delete", "ledger"]).fine();
    ledger.run(&["validate", token.line()]).ended(3);
}

#[test]
fn keys_are_listed_and_rotated() {
    let stack = DevStack::start(&[]);
    let admin = Tokenbind::as_admin(&stack);
    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let before = Tokenbind::at(&stack).run(&["keys", "list", "--json"]).fine().json();
    let token = shop.run(&["token", "issue", "-q"]).fine();
    let rotated = admin.run(&["keys", "rotate", "--json"]).fine().json();
    assert_ne!(rotated["active_key_id"], before["active_key_id"]);
    let after = Tokenbind::at(&stack).run(&["keys", "list", "--json"]).fine().json();
    assert_eq!(after["active_key_id"], rotated["active_key_id"]);
    assert_eq!(after["keys"].as_array().unwrap().len(), 2);
    // What the earlier key signed stays good.
    shop.run(&["validate", token.line()]).fine();
    let text = admin.run(&["keys", "list"]).fine().stdout;
    assert!(text.contains("EdDSA") && text.contains("SIGNS NOW"), "{text}");
    shop.run(&["keys", "rotate"]).ended(3);
}

#[test]
fn a_key_that_leaked_is_withdrawn() {
    let stack = DevStack::start(&[]);
    let admin = Tokenbind::as_admin(&stack);
    let before = Tokenbind::at(&stack).run(&["keys", "list", "--json"]).fine().json();
    let leaked = before["active_key_id"].as_str().unwrap();
    let withdrawn = admin.run(&["keys", "withdraw", leaked, "--json"]).fine().json();
    assert_eq!(withdrawn["withdrawn_key_id"], leaked);
    let after = Tokenbind::at(&stack).run(&["keys", "list", "--json"]).fine().json();
    assert_eq!(after["active_key_id"], withdrawn["active_key_id"]);
    assert_ne!(after["active_key_id"], leaked);
    assert_eq!(after["keys"].as_array().unwrap().len(), 1);
    let text = admin.run(&["keys", "withdraw", leaked]).fine().stdout;
    assert!(text.contains(&format!("{leaked} is withdrawn")), "{text}");
    admin.run(&["keys", "withdraw", "unknown"]).ended(1);
    admin.run(&["keys", "withdraw", leaked, "--opaque"]).ended(1);
}
