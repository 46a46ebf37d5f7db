//! The settings of whoever uses Redis.

use super::Violations;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// Arguments of a service that uses Redis.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// Where Redis is; clap shows the help instead, which would be links here.
    #[arg(
        long,
        env = "TOKENBIND_REDIS_URL",
        value_name = "URL",
        hide_env_values = true,
        help = "Redis that holds the binding index; required. redis://[user[:password]@]host[:port][/database], \
                redis+sentinel://[user[:password]@]sentinel[:port],…/master-name[/database] (user and password are those \
                of Redis), or redis+cluster://[user[:password]@]host[:port],… (some of the nodes); the same with rediss \
                for TLS"
    )]
    pub redis_url: Option<SecretString>,

    /// User of Redis, instead of the one in the URL
    #[arg(long, env = "TOKENBIND_REDIS_USER", value_name = "NAME")]
    pub redis_user: Option<String>,

    /// File with the password of Redis, read anew for each connection, so that it can be replaced
    #[arg(long, env = "TOKENBIND_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,

    /// Password of Redis; everybody on a machine can see arguments, so better use the variable or the file
    #[arg(
        long,
        env = "TOKENBIND_REDIS_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    pub redis_password: Option<SecretString>,

    /// User of the sentinels
    #[arg(long, env = "TOKENBIND_REDIS_SENTINEL_USER", value_name = "NAME")]
    pub redis_sentinel_user: Option<String>,

    /// File with the password of the sentinels, read anew for each connection
    #[arg(long, env = "TOKENBIND_REDIS_SENTINEL_PASSWORD_FILE", value_name = "FILE")]
    pub redis_sentinel_password_file: Option<PathBuf>,

    /// Authorities that may certify Redis and its sentinels, PEM, read anew for each connection [default: those of the system]
    #[arg(long, env = "TOKENBIND_REDIS_CA", value_name = "FILE")]
    pub redis_ca: Option<PathBuf>,

    /// Certificate to show to Redis and its sentinels, PEM, read anew for each connection
    #[arg(long, env = "TOKENBIND_REDIS_CERT", value_name = "FILE")]
    pub redis_cert: Option<PathBuf>,

    /// Key of that certificate, PEM
    #[arg(long, env = "TOKENBIND_REDIS_KEY", value_name = "FILE")]
    pub redis_key: Option<PathBuf>,
}

impl RedisArgs {
    /// Checks what can be checked without knowing Redis: that files are there, and that options fit each other.
    pub fn check(&self, violations: &mut Violations) {
        if self.redis_url.is_none() {
            violations.push("--redis-url", "is required; `tokenbind dev` runs without a Redis");
        }
        if self.redis_password.is_some() && self.redis_password_file.is_some() {
            violations.push(
                "--redis-password",
                "cannot be given together with --redis-password-file",
            );
        }
        if self.redis_cert.is_some() != self.redis_key.is_some() {
            violations.push("--redis-cert", "must be given together with --redis-key");
        }
        let tls = [&self.redis_ca, &self.redis_cert, &self.redis_key];
        let url = self.redis_url.as_ref().map(ExposeSecret::expose_secret);
        if tls.iter().any(|path| path.is_some()) && url.is_some_and(|url| !url.starts_with("rediss")) {
            violations.push(
                "--redis-ca, --redis-cert, --redis-key",
                "are for TLS; write rediss in --redis-url",
            );
        }
        for (name, path) in [
            ("--redis-password-file", &self.redis_password_file),
            ("--redis-sentinel-password-file", &self.redis_sentinel_password_file),
            ("--redis-ca", &self.redis_ca),
            ("--redis-cert", &self.redis_cert),
            ("--redis-key", &self.redis_key),
        ] {
            if let Some(path) = path
                && let Err(error) = std::fs::read(path)
            {
                violations.push(name, error);
            }
        }
    }

    /// Certificate and key, if both are given.
    pub fn client_certificate(&self) -> Option<(PathBuf, PathBuf)> {
        self.redis_cert.clone().zip(self.redis_key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        redis: RedisArgs,
    }

    fn check(args: &[&str]) -> String {
        let mut violations = Violations::new();
        let args = ["x"].iter().chain(args);
        Command::parse_from(args).redis.check(&mut violations);
        violations.to_string()
    }

    #[test]
    fn everything_that_does_not_fit_is_told() {
        assert_eq!(check(&["--redis-url=redis://h"]), "");
        assert!(check(&[]).starts_with("--redis-url: is required"));
        let told = check(&[
            "--redis-url=redis://h",
            "--redis-cert=/nowhere/c",
            "--redis-password=canary",
            "--redis-password-file=/nowhere/p",
        ]);
        for expected in [
            "--redis-password: cannot be given together",
            "--redis-cert: must be given together",
            "--redis-ca, --redis-cert, --redis-key: are for TLS",
            "--redis-password-file: ",
            "--redis-cert: No such file",
        ] {
            assert!(told.contains(expected), "{expected} is missing in\n{told}");
        }
        assert!(!told.contains("canary"), "{told}");
    }
}
