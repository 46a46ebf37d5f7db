//! How to reach the index, and what can be wrong with that.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;

use super::deployment::Deployment;
use super::promise::Acknowledgement;
use crate::namespace::Namespace;

/// How to reach the index.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where it is; may hold a password. One of
    ///
    /// - `redis://[user[:password]@]host[:port][/database]`,
    /// - `redis+sentinel://[user[:password]@]host[:port][,host[:port]…]/master-name[/database]`: the hosts are the sentinels',
    ///   user and password those of Redis,
    /// - `redis+cluster://[user[:password]@]host[:port][,host[:port]…]`: some nodes of a cluster,
    ///
    /// and with `rediss` for `redis` the same over TLS.
    pub url: SecretString,
    /// Who connects, where the URL does not say.
    pub credentials: Credentials,
    /// Who asks the sentinels; they have users of their own.
    pub sentinel_credentials: Credentials,
    /// Certificates, where the URL asks for TLS.
    pub tls: TlsFiles,
    /// What is done with it.
    pub access: Access,
    /// What the keys begin with.
    pub namespace: Namespace,
    /// How long an operation may wait for its answer.
    pub response_timeout: Duration,
    /// How long a connection may take to be made.
    pub connection_timeout: Duration,
    /// How many replicas have to have a revocation before it is answered (R6). `None`: the primary's word is enough.
    pub acknowledgement: Option<Acknowledgement>,
}

/// What is done with an index: what its user must be allowed to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everything that an issuer does.
    #[default]
    ReadWrite,
    /// Reading, and being told what changes.
    ReadOnly,
}

/// A user of Redis.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Its name; `None`: Redis's user `default`, or the URL's.
    pub user: Option<String>,
    /// Its password; `None`: none, or the URL's.
    pub password: Option<Password>,
}

/// A password, or where it is.
#[derive(Clone, Debug)]
pub enum Password {
    /// The password itself.
    Value(SecretString),
    /// A file that holds it and perhaps the end of a line. Read anew for each connection, so it can be replaced.
    File(PathBuf),
}

/// Files with certificates, as PEM. Read anew for each connection, so they can be replaced.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authorities that may certify a Redis; `None`: those of the system.
    pub authorities: Option<PathBuf>,
    /// The own certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl RedisOptions {
    /// Whether a URL is one that can be connected to, before anything is.
    ///
    /// # Errors
    /// [`ConnectError::Url`], which does not repeat the URL.
    pub fn check_url(url: &SecretString) -> Result<(), ConnectError> {
        Deployment::parse(url).map(drop)
    }

    /// The usual: for everything, 1 second for an answer, 1 second for a connection, no replicas.
    pub fn new(url: SecretString, namespace: Namespace) -> Self {
        let second = Duration::from_secs(1);
        Self {
            url,
            credentials: Credentials::default(),
            sentinel_credentials: Credentials::default(),
            tls: TlsFiles::default(),
            access: Access::default(),
            namespace,
            response_timeout: second,
            connection_timeout: second,
            acknowledgement: None,
        }
    }
}

/// Why the index cannot be used. The texts name no password.
#[derive(Clone, Debug, Error)]
pub enum ConnectError {
    /// The URL is not one of Redis.
    #[error(
        "the Redis URL is not valid: {0}; write redis://[user[:password]@]host[:port][/database], \
         redis+sentinel://[user[:password]@]sentinel[:port],…/master-name[/database] or \
         redis+cluster://[user[:password]@]host[:port],…; rediss for TLS"
    )]
    Url(String),
    /// Redis does not answer.
    #[error("cannot connect to Redis: {0}")]
    Unreachable(String),
    /// Redis refuses the credentials.
    #[error("Redis lets nobody in like that: {0}")]
    Credentials(String),
    /// Redis refuses something that the user must be able to do.
    #[error("Redis refuses its user: {0}; deploy/redis/users.acl has what issuer and validator need")]
    Refused(String),
    /// A password or certificate cannot be read, or is none.
    #[error("cannot connect to Redis as told: {0}")]
    Files(String),
    /// What answers is not what the URL says.
    #[error("the Redis URL does not fit what answers there: {0}")]
    Unfit(String),
    /// A replica cannot be written to, and knows late what was revoked.
    #[error("{0} is a replica: name its primary in the Redis URL, or its sentinels (redis+sentinel://)")]
    Replica(String),
    /// Redis is older than 7.0.
    #[error("Redis {0} is too old: tokenbind needs 7.0 or later, or Valkey")]
    TooOld(String),
    /// Redis would drop live tokens when it is full.
    #[error(
        "Redis evicts keys when it is full (maxmemory-policy {0}), so live tokens could vanish; \
         set `maxmemory-policy noeviction`"
    )]
    Evicts(String),
}
