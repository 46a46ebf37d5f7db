//! `tokenbind dev`.

use std::net::TcpListener;

use tokenbind_tests::{DEADLINE, DevStack, Process, RedisServer};

use super::support::{Tokenbind, command};

#[test]
fn the_line_for_scripts_has_what_they_need_in_order() {
    let stack = DevStack::start(&[]);
    let keys: Vec<_> = stack.ready.as_object().unwrap().keys().map(String::as_str).collect();
    for key in ["issuer", "validator", "admin", "applications", "users", "resource"] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    let applications = stack.ready["applications"].as_array().unwrap();
    let formats: Vec<_> = applications
        .iter()
        .map(|application| {
            ["client_id", "token_format", "binding_type"].map(|field| application[field].as_str().unwrap())
        })
        .collect();
    let expected = [
        ["shop-jwt", "jwt", "client-request"],
        ["shop-opaque", "opaque", "client-request"],
        ["intruder", "jwt", "none"],
    ];
    assert_eq!(formats, expected);
    // What the line says works.
    for application in ["shop-jwt", "shop-opaque", "intruder"] {
        Tokenbind::as_app(&stack, application).run(&["token", "issue"]).fine();
    }
}

#[tokio::test]
async fn without_a_command_it_is_the_development_stack() {
    let mut line = command(&["--json"]);
    line.env("TOKENBIND_ISSUER_LISTEN", "127.0.0.1:0");
    line.env("TOKENBIND_VALIDATOR_LISTEN", "127.0.0.1:0");
    let mut process = Process::start("tokenbind", line);
    let ready: serde_json::Value = serde_json::from_str(&process.first_line()).unwrap();
    let issuer = format!("http://{}", ready["issuer"].as_str().unwrap());
    Tokenbind::new()
        .with("TOKENBIND_ISSUER_URL", &issuer)
        .run(&["keys", "list"])
        .fine();
    process.terminate();
    assert!(process.wait(DEADLINE).await.success());
}

#[test]
fn the_application_that_is_not_accepted_is_refused() {
    let stack = DevStack::start(&[]);
    let intruder = Tokenbind::as_app(&stack, "intruder");
    let token = intruder.run(&["token", "issue", "-q"]).fine();
    let verdict = intruder.run(&["validate", token.line(), "--json"]).ended(1).json();
    assert_eq!(verdict["reason"], "CLIENT_NOT_ACCEPTED");
    assert_eq!(verdict["http_status"], 403);
}

#[test]
fn taken_addresses_are_all_told_with_their_options() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = [
        "dev",
        "--json",
        "--issuer-listen",
        &address,
        "--validator-listen",
        &address,
    ];
    let refused = Tokenbind::new().run(&line).ended(2);
    for part in ["--issuer-listen: ", "--validator-listen: ", &address, "hint"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
}

#[test]
fn what_other_machines_reach_is_refused() {
    let line = [
        "dev",
        "--issuer-listen",
        "0.0.0.0:0",
        "--validator-listen",
        "127.0.0.1:0",
    ];
    let refused = Tokenbind::new().run(&line).ended(2);
    assert!(refused.stderr.contains("--expose"), "{}", refused.stderr);
}

#[test]
fn a_caller_may_be_made_to_authenticate() {
    let stack = DevStack::start(&["--caller-auth"]);
    let shop = Tokenbind::as_app(&stack, "shop-jwt");
    let token = shop.run(&["token", "issue", "-q"]).fine();
    let refused = shop.run(&["validate", token.line()]).ended(3);
    assert!(refused.stderr.contains("invalid_client"), "{}", refused.stderr);
    let resource = stack.resource();
    shop.with("TOKENBIND_RESOURCE", &resource.id)
        .with("TOKENBIND_RESOURCE_SECRET", &resource.secret)
        .run(&["validate", token.line()])
        .fine();
}

#[test]
fn stacks_on_one_redis_are_replicas_and_keep_what_was_changed() {
    let redis = RedisServer::start();
    let url = redis.url();
    let (first, second) = (
        DevStack::start(&["--redis-url", &url]),
        DevStack::start(&["--redis-url", &url]),
    );
    let opaque = ["token", "issue", "-q", "--token-binding-id", "phone-1"];
    let here = Tokenbind::as_app(&first, "shop-opaque").run(&opaque).fine();
    let there = Tokenbind::as_app(&second, "shop-opaque").run(&opaque).fine();
    assert_eq!(here.line(), there.line());
    let jwt = Tokenbind::as_app(&first, "shop-jwt")
        .run(&["token", "issue", "-q"])
        .fine();
    Tokenbind::at(&second).run(&["validate", jwt.line()]).fine();

    let update = ["resource", "update", "orders-api", "--accept-client", "shop-opaque"];
    Tokenbind::as_admin(&first).run(&update).fine();
    drop((first, second));
    let later = DevStack::start(&["--redis-url", &url]);
    Tokenbind::at(&later).run(&["validate", here.line()]).fine();
    let verdict = Tokenbind::at(&later)
        .run(&["validate", jwt.line(), "--json"])
        .ended(1)
        .json();
    assert_eq!(verdict["reason"], "CLIENT_NOT_ACCEPTED");
}

#[test]
fn a_redis_that_is_not_there_is_told() {
    let line = [
        "dev",
        "--issuer-listen",
        "127.0.0.1:0",
        "--validator-listen",
        "127.0.0.1:0",
    ];
    // Nothing listens on port 0, on any machine.
    let refused = Tokenbind::new().run(&[&line[..], &["--redis-url", "redis://:canary@127.0.0.1:0"]].concat());
    let refused = refused.ended(4);
    assert!(
        refused.stderr.contains("Redis") && !refused.stderr.contains("canary"),
        "{}",
        refused.stderr
    );
}
