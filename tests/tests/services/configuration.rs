//! A wrong configuration: everything that is wrong is told at once, and nothing starts.

use std::process::{Command, Output};

use tokenbind_tests::{Installation, RedisServer, binary};

fn run(mut command: Command) -> (Output, String) {
    let output = command.env_clear().output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, complaint)
}

#[test]
fn every_violation_is_told_at_once() {
    let flags = [
        ("--listen", "nowhere"),
        ("--max-message-bytes", "many"),
        ("--max-streams", "0"),
        ("--request-timeout-ms", "-1"),
        ("--drain-seconds", "forever"),
        ("--tls-cert", "/nonexistent"),
        ("--tls-client-auth", "perhaps"),
        ("--log-format", "xml"),
        ("--log", "loud"),
        ("--otlp-endpoint", "nowhere"),
        ("--metrics-listen", "nowhere"),
        ("--namespace", "Not Good"),
    ];
    for service in ["issuer", "validator"] {
        let mut command = Command::new(binary(service));
        for (flag, value) in flags {
            command.arg(format!("{flag}={value}"));
        }
        let (output, complaint) = run(command);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        for (flag, _) in flags {
            // A certificate without a key is a violation of the key.
            let named = if flag == "--tls-cert" { "--tls-key" } else { flag };
            assert!(
                complaint.lines().any(|line| line.contains(named)),
                "{named} in {complaint}"
            );
        }
        assert!(!complaint.contains("listening"), "{complaint}");
    }
}

#[test]
fn an_unknown_flag_is_refused_and_help_has_units_and_defaults() {
    for service in ["issuer", "validator"] {
        let mut command = Command::new(binary(service));
        command.arg("--lisen=127.0.0.1:0");
        let (output, complaint) = run(command);
        assert_eq!(output.status.code(), Some(2));
        assert!(complaint.contains("--lisen"), "{complaint}");
        let mut command = Command::new(binary(service));
        command.arg("--help");
        let (output, _) = run(command);
        assert!(output.status.success());
        let help = String::from_utf8(output.stdout).unwrap();
        for word in [
            "in bytes",
            "in milliseconds",
            "[default: 1048576]",
            "TOKENBIND_LISTEN",
            "TOKENBIND_REDIS_URL",
        ] {
            assert!(help.contains(word), "{word} in {help}");
        }
    }
}

#[test]
fn every_error_of_a_catalog_is_told_at_once() {
    let redis = RedisServer::start();
    let installation = Installation::new(redis.url());
    let catalog = "  - client_id: shop\n    token_format: paper\n    grants: [client_credentials]\n    scopes: [a, a]\n    \
                   audiences: [x]\n    colour: red\n  - client_id: shop\n    token_format: jwt\n    grants: []\n    \
                   audiences: [x]\n    client_secret: canary-in-the-catalog\nusers:\n  - username: ada\n    \
                   password: canary-in-the-catalog\n";
    installation.declare(catalog);
    let (output, complaint) = run(installation.issuer_command());
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    for word in [
        "token_format",
        "scopes",
        "colour",
        "grants",
        "client_secret",
        "users[0]",
        "password",
        "applications[2].client_id",
    ] {
        assert!(complaint.contains(word), "{word} in {complaint}");
    }
    assert!(!complaint.contains("canary-in-the-catalog"), "{complaint}");
    // Nothing was published.
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut redis.connection()).unwrap();
    assert_eq!(keys.len(), 0);
}

#[test]
fn a_key_file_that_is_none_is_named() {
    let redis = RedisServer::start();
    let installation = Installation::new(redis.url());
    std::fs::write(installation.signing_key(), "no key").unwrap();
    let (output, complaint) = run(installation.issuer_command());
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(
        complaint.contains("--signing-key") && complaint.contains("0001.pem"),
        "{complaint}"
    );
}

#[test]
fn a_redis_that_evicts_is_refused() {
    let redis = RedisServer::start();
    let set = redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory-policy", "allkeys-lru"])
        .exec(&mut redis.connection());
    set.unwrap();
    let installation = Installation::new(redis.url());
    let mut validator = Command::new(binary("validator"));
    validator.args(["--listen", "127.0.0.1:0", "--redis-url", &redis.url()]);
    for command in [installation.issuer_command(), validator] {
        let (output, complaint) = run(command);
        assert!(!output.status.success(), "{complaint}");
        assert!(complaint.contains("allkeys-lru"), "{complaint}");
    }
}

#[test]
fn a_taken_port_is_told() {
    let redis = RedisServer::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut validator = Command::new(binary("validator"));
    validator.args(["--listen", &address, "--redis-url", &redis.url()]);
    let (output, complaint) = run(validator);
    assert!(!output.status.success());
    assert!(complaint.contains("in use"), "{complaint}");
}
