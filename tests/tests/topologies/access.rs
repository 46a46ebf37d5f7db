//! The users and settings of `deploy/redis/`, as they are but for their passwords.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokenbind_tests::{Installation, RedisServer};

use crate::slice::Slice;

const OPERATOR: &str = "operator";
const PASSWORD: &str = "of-the-operator";

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/redis").join(name)
}

/// A server with these very files.
struct Guarded {
    redis: RedisServer,
    folder: TempDir,
}

impl Guarded {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut users = std::fs::read_to_string(deployed("users.acl")).unwrap();
        for user in ["issuer", "validator"] {
            let line = format!("user {user} on ");
            assert!(users.contains(&line));
            users = users.replace(&line, &format!("{line}>secret-of-{user} "));
        }
        let operator = format!("user {OPERATOR} on >{PASSWORD} allkeys allchannels +@all\n");
        let path = folder.path().join("users.acl");
        std::fs::write(&path, users + &operator).unwrap();
        let configuration = deployed("redis.conf");
        let arguments = [
            "--include",
            configuration.to_str().unwrap(),
            "--aclfile",
            path.to_str().unwrap(),
        ];
        Self {
            redis: RedisServer::start_as(OPERATOR, PASSWORD, &arguments),
            folder,
        }
    }

    fn password_file(&self, user: &str, password: &str) -> String {
        let path = self.folder.path().join(user);
        std::fs::write(&path, format!("{password}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// As a service that has been taken over would: what Redis lets the user do, and what it refuses.
fn connect(redis: &RedisServer, user: &str) -> redis::Connection {
    let url = redis
        .url()
        .replacen("redis://", &format!("redis://{user}:secret-of-{user}@"), 1);
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

fn is_refused(connection: &mut redis::Connection, command: &[&str]) -> bool {
    let mut asked = redis::cmd(command[0]);
    let answer: redis::RedisResult<redis::Value> = asked.arg(&command[1..]).query(connection);
    answer.is_err_and(|error| error.code() == Some("NOPERM"))
}

#[tokio::test]
async fn the_least_that_issuer_and_validator_need() {
    let guarded = Guarded::start();
    let redis = &guarded.redis;
    let (issuer_file, validator_file) = (
        guarded.password_file("issuer", "secret-of-issuer"),
        guarded.password_file("validator", "secret-of-validator"),
    );
    let issuer = ["--redis-user", "issuer", "--redis-password-file", &issuer_file];
    let validator = ["--redis-user", "validator", "--redis-password-file", &validator_file];
    let mut slice = Slice::start(Installation::new(redis.url()), &issuer, &validator).await;
    slice.is_watched_until_it_is_revoked().await;

    redis::cmd("SET")
        .arg(&["other:key", "x"])
        .exec(&mut redis.connection())
        .unwrap();
    let mut thief = connect(redis, "validator");
    for command in [
        &["SET", "tokenbind:x", "1"][..],
        &["DEL", "tokenbind:x"],
        &["HSET", "tokenbind:x", "f", "v"],
        &["EVAL", "return 1", "0"],
        &["SCRIPT", "LOAD", "return 1"],
        &["EXPIRE", "tokenbind:x", "1"],
        &["GET", "other:key"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["CLIENT", "LIST"],
        &["CLIENT", "KILL", "TYPE", "normal"],
        &["CLIENT", "PAUSE", "1"],
        &["MONITOR"],
        &["FLUSHALL"],
        &["REPLICAOF", "NO", "ONE"],
        &["CLUSTER", "RESET"],
        &["PUBLISH", "x", "y"],
    ] {
        assert!(is_refused(&mut thief, command), "the validator may {command:?}");
    }
    let mut thief = connect(redis, "issuer");
    for command in [
        &["GET", "other:key"][..],
        &["SET", "other:key", "1"],
        &["EVAL", "return 1", "0"],
        &["KEYS", "*"],
        &["FLUSHALL"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["ACL", "LIST"],
        &["CLIENT", "KILL", "TYPE", "normal"],
        &["DUMP", "tokenbind:x"],
        &["MIGRATE", "h", "1", "tokenbind:x", "0", "1"],
        &["REPLICAOF", "NO", "ONE"],
    ] {
        assert!(is_refused(&mut thief, command), "the issuer may {command:?}");
    }
    // Nothing that the services did was refused: Redis keeps a log of that, in which the thieves stand alone.
    let log: Vec<redis::Value> = redis::cmd("ACL").arg("LOG").query(&mut redis.connection()).unwrap();
    let log = format!("{log:?}");
    for needed in [
        "client|setinfo",
        "client|tracking",
        "hello",
        "info",
        "evalsha",
        "time",
        "hmget",
        "exists",
    ] {
        assert!(!log.contains(&format!("\"{needed}\"")), "{needed} is refused: {log}");
    }

    // A new password, and connections that are made again.
    for (user, password) in [("issuer", "another-of-issuer"), ("validator", "another-of-validator")] {
        let rules = ["SETUSER", user, "resetpass", &format!(">{password}")];
        redis::cmd("ACL").arg(&rules).exec(&mut redis.connection()).unwrap();
        guarded.password_file(user, password);
    }
    redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal"])
        .exec(&mut redis.connection())
        .unwrap();
    slice.everything_works().await;
}
