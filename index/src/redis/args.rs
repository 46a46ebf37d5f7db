//! The command line of whoever uses the index in Redis.

use std::fmt::Display;
use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::options::{Credentials, Password, RedisOptions, TlsFiles};
use crate::namespace::Namespace;

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
    /// How to reach the index. `tell` takes the name of each setting that is wrong, and what is wrong with it; `None` means that it was
    /// told something.
    pub fn options(
        self,
        namespace: Option<Namespace>,
        mut tell: impl FnMut(&str, &dyn Display),
    ) -> Option<RedisOptions> {
        self.check(&mut tell);
        let url = self.redis_url?;
        if let Err(error) = RedisOptions::check_url(&url) {
            tell("--redis-url", &error);
            return None;
        }
        let password = self.redis_password.map(Password::Value);
        Some(RedisOptions {
            credentials: Credentials {
                user: self.redis_user,
                password: password.or(self.redis_password_file.map(Password::File)),
            },
            sentinel_credentials: Credentials {
                user: self.redis_sentinel_user,
                password: self.redis_sentinel_password_file.map(Password::File),
            },
            tls: TlsFiles {
                authorities: self.redis_ca,
                client: self.redis_cert.zip(self.redis_key),
            },
            ..RedisOptions::new(url, namespace?)
        })
    }

    /// Checks what can be checked without Redis: that files are there, and that options fit each other.
    fn check(&self, tell: &mut impl FnMut(&str, &dyn Display)) {
        if self.redis_url.is_none() {
            tell("--redis-url", &"is required; `tokenbind dev` runs without a Redis");
        }
        if self.redis_password.is_some() && self.redis_password_file.is_some() {
            tell(
                "--redis-password",
                &"cannot be given together with --redis-password-file",
            );
        }
        if self.redis_cert.is_some() != self.redis_key.is_some() {
            tell("--redis-cert", &"must be given together with --redis-key");
        }
        let tls = [&self.redis_ca, &self.redis_cert, &self.redis_key];
        let url = self.redis_url.as_ref().map(ExposeSecret::expose_secret);
        if tls.iter().any(|path| path.is_some()) && url.is_some_and(|url| !url.starts_with("rediss")) {
            tell(
                "--redis-ca, --redis-cert, --redis-key",
                &"are for TLS; write rediss in --redis-url",
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
                tell(name, &format_args!("{}: {error}", path.display()));
            }
        }
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
        let mut told = Vec::new();
        let args = ["x"].iter().chain(args);
        Command::parse_from(args)
            .redis
            .options(Some(Namespace::default()), |name, problem| {
                told.push(format!("{name}: {problem}"));
            });
        told.join("\n")
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
            "--redis-cert: /nowhere/c: No such file",
        ] {
            assert!(told.contains(expected), "{expected} is missing in\n{told}");
        }
        assert!(!told.contains("canary"), "{told}");
    }
}
