//! Exit codes, and what a person is told.

use tokenbind_tests::DevStack;

use super::support::Tokenbind;

#[test]
fn bad_input_is_told_by_its_fields() {
    let stack = DevStack::start(&[]);
    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let refused = shop.run(&["token", "issue", "--scope", "orders.read", "--scope", "orders.burn"]);
    let refused = refused.ended(2);
    assert!(refused.stdout.is_empty());
    for part in ["error: invalid_scope", "scopes[1]", "hint: "] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let json = shop
        .run(&["token", "issue", "--scope", "orders.burn", "--json"])
        .ended(2);
    let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"]["reason"], "invalid_scope");
    assert_eq!(error["error"]["violations"][0]["field"], "scopes[0]");
    shop.run(&["token", "issue"]).fine();
}

#[test]
fn wrong_credentials_are_not_permitted() {
    let stack = DevStack::start(&[]);
    let wrong = Tokenbind::as_app(&stack, "shop-jwt").with("TOKENBIND_CLIENT_SECRET", "tbs_wrong");
    let refused = wrong.run(&["token", "issue"]).ended(3);
    assert!(refused.stderr.contains("invalid_client"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("tbs_wrong"));
    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let issue = ["token", "issue", "--username", "alice", "--password-stdin"];
    let refused = shop.run_with_input(&issue, "looking-glass").ended(3);
    assert!(refused.stderr.contains("invalid_grant"), "{}", refused.stderr);
    // Right credentials, but no administrator's.
    let refused = shop.run(&["app", "list"]).ended(3);
    assert!(refused.stderr.contains("insufficient_scope"), "{}", refused.stderr);
    let missing = Tokenbind::at(&stack).run(&["app", "list"]).ended(2);
    assert!(missing.stderr.contains("TOKENBIND_CLIENT_ID"), "{}", missing.stderr);
}

#[test]
fn nobody_there_is_unavailable() {
    // Nothing listens on port 0, on any machine.
    let nowhere = Tokenbind::new()
        .with("TOKENBIND_ISSUER_URL", "http://127.0.0.1:0")
        .with("TOKENBIND_VALIDATOR_URL", "http://127.0.0.1:0");
    let refused = nowhere.run(&["keys", "list"]).ended(4);
    assert!(refused.stderr.contains("issuer") && refused.stderr.contains("--issuer-url"));
    let refused = nowhere.run(&["validate", "x"]).ended(4);
    assert!(refused.stderr.contains("--validator-url"), "{}", refused.stderr);
    let wrong = nowhere.with("TOKENBIND_ISSUER_URL", "ftp://x");
    wrong.run(&["keys", "list"]).ended(2);
}

#[test]
fn an_answer_that_does_not_come_is_given_up() {
    let stack = DevStack::start(&[]);
    let tokenbind = Tokenbind::at(&stack);
    tokenbind.run(&["keys", "list"]).fine();
    stack.process.freeze();
    tokenbind.run(&["keys", "list", "--timeout", "0.2"]).ended(4);
    stack.process.thaw();
    tokenbind.run(&["keys", "list"]).fine();
}

#[test]
fn the_address_of_the_other_service_is_noticed() {
    let stack = DevStack::start(&[]);
    let confused = Tokenbind::at(&stack).with("TOKENBIND_ISSUER_URL", &format!("http://{}", stack.validator()));
    let refused = confused.run(&["keys", "list"]).ended(70);
    assert!(refused.stderr.contains("other service"), "{}", refused.stderr);
}

#[test]
fn one_thing_alone_is_read_from_standard_input() {
    let line = [
        "token",
        "revoke",
        "-",
        "--client-id",
        "shop-jwt",
        "--client-secret-file",
        "-",
    ];
    let refused = Tokenbind::new().run_with_input(&line, "x").ended(2);
    assert!(refused.stderr.contains("standard input"), "{}", refused.stderr);
}

#[test]
fn a_secret_comes_from_a_file_too() {
    let stack = DevStack::start(&[]);
    let app = stack.app("shop-jwt");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{}\n", app.secret)).unwrap();
    let line = [
        "token",
        "issue",
        "--client-id",
        &app.id,
        "--client-secret-file",
        file.to_str().unwrap(),
    ];
    Tokenbind::at(&stack).run(&line).fine();
}

#[test]
fn help_tells_the_exit_codes_and_no_secret() {
    let tokenbind = Tokenbind::new().with("TOKENBIND_CLIENT_SECRET", "tbs_canary");
    for arguments in [
        &["--help"][..],
        &["token", "issue", "--help"],
        &["app", "create", "--help"],
        &["validate", "--help"],
    ] {
        let help = tokenbind.run(arguments).fine().stdout;
        assert!(!help.contains("tbs_canary"), "{help}");
    }
    let help = tokenbind.run(&["--help"]).fine().stdout;
    assert!(help.contains("Exit codes:") && help.contains("dev"), "{help}");
    tokenbind.run(&["token", "burn"]).ended(2);
}
