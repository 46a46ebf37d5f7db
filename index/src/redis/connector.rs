//! Clients of single servers, with the credentials and certificates as they are at this moment.

use std::fs;
use std::path::Path;
use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo as _,
    ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates,
};
use secrecy::ExposeSecret as _;

use super::deployment::Deployment;
use super::options::{ConnectError, Credentials, Password, RedisOptions, TlsFiles};

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) deployment: Deployment,
    credentials: Credentials,
    sentinel_credentials: Credentials,
    tls: TlsFiles,
    connection_timeout: Duration,
    pub(super) response_timeout: Duration,
}

impl Connector {
    pub(super) fn new(options: &RedisOptions) -> Result<Self, ConnectError> {
        Ok(Self {
            deployment: Deployment::parse(&options.url)?,
            credentials: options.credentials.clone(),
            sentinel_credentials: options.sentinel_credentials.clone(),
            tls: options.tls.clone(),
            connection_timeout: options.connection_timeout,
            response_timeout: options.response_timeout,
        })
    }

    /// A client of a server that holds keys.
    pub(super) fn client(&self, address: &ConnectionAddr, protocol: ProtocolVersion) -> RedisResult<Client> {
        self.open(address, self.deployment.settings.clone(), &self.credentials, protocol)
    }

    /// A client of a sentinel.
    pub(super) fn sentinel(&self, address: &ConnectionAddr) -> RedisResult<Client> {
        let settings = RedisConnectionInfo::default();
        self.open(address, settings, &self.sentinel_credentials, ProtocolVersion::RESP3)
    }

    /// How long it takes at most until a server is known not to answer.
    pub(super) fn patience(&self) -> Duration {
        self.connection_timeout + self.response_timeout
    }

    /// How connections are made.
    pub(super) fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connection_timeout))
            .set_response_timeout(Some(self.response_timeout))
    }

    fn open(
        &self,
        address: &ConnectionAddr,
        settings: RedisConnectionInfo,
        credentials: &Credentials,
        protocol: ProtocolVersion,
    ) -> RedisResult<Client> {
        let mut settings = settings.set_protocol(protocol);
        if let Some(user) = &credentials.user {
            settings = settings.set_username(user);
        }
        match &credentials.password {
            Some(Password::Value(password)) => settings = settings.set_password(password.expose_secret()),
            Some(Password::File(path)) => {
                let password = String::from_utf8(read(path)?).map_err(|_| unreadable(path, "is not UTF-8"))?;
                settings = settings.set_password(password.trim_end_matches(['\r', '\n']));
            }
            None => {}
        }
        let info = address.clone().into_connection_info()?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
        if !self.deployment.tls {
            return Client::open(info);
        }
        let client_tls = self.tls.client.as_ref().map(|(certificate, key)| {
            Ok::<_, RedisError>(ClientTlsConfig {
                client_cert: read(certificate)?,
                client_key: read(key)?,
            })
        });
        let certificates = TlsCertificates {
            client_tls: client_tls.transpose()?,
            root_cert: self.tls.authorities.as_deref().map(read).transpose()?,
        };
        let client = Client::build_with_tls(info, certificates);
        // As it comes, it would look like trouble on the way.
        client.map_err(|error| (ErrorKind::InvalidClientConfig, "a certificate", error.to_string()).into())
    }
}

fn read(path: &Path) -> RedisResult<Vec<u8>> {
    fs::read(path).map_err(|error| unreadable(path, &error.to_string()))
}

fn unreadable(path: &Path, why: &str) -> RedisError {
    let text = format!("{}: {why}", path.display());
    (ErrorKind::InvalidClientConfig, "cannot be read", text).into()
}
