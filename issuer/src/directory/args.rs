//! The flags that say where users are.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::Uri;
use secrecy::SecretString;
use tokenbind_index::Clock;
use tokenbind_runtime::config::Violations;
use tonic::transport::Endpoint;

use super::Directory;
use super::external::{ExternalDirectory, Remote};
use super::grpc::GrpcDirectory;
use super::ldap::{LdapDirectory, LdapSettings, PLACEHOLDER};
use super::tls::{self, DirectoryTls};

const URL: &str = "--user-directory";
const BUILTIN: &str = "builtin";

/// Where users are.
#[derive(Debug, Args)]
#[command(next_help_heading = "User directory")]
pub struct DirectoryArgs {
    /// Who verifies passwords: `builtin`, `grpc[s]://host:port` (tokenbind.v1.UserDirectoryService) or `ldap[s]://host[:port]`.
    /// Without the `s` passwords are sent unencrypted
    #[arg(long, env = "TOKENBIND_USER_DIRECTORY", value_name = "URL", default_value = BUILTIN)]
    user_directory: String,

    /// PEM certificates of the authorities that the directory's certificate must come from; required for TLS
    #[arg(long, env = "TOKENBIND_USER_DIRECTORY_CA", value_name = "FILE")]
    user_directory_ca: Option<PathBuf>,

    /// PEM certificate chain that the issuer presents to the directory
    #[arg(long, env = "TOKENBIND_USER_DIRECTORY_CERT", value_name = "FILE")]
    user_directory_cert: Option<PathBuf>,

    /// PEM private key of that certificate
    #[arg(long, env = "TOKENBIND_USER_DIRECTORY_KEY", value_name = "FILE")]
    user_directory_key: Option<PathBuf>,

    /// Milliseconds that the directory has for an answer, 50 to 30,000
    #[arg(
        long,
        env = "TOKENBIND_USER_DIRECTORY_TIMEOUT_MS",
        value_name = "MS",
        default_value = "2000"
    )]
    user_directory_timeout_ms: String,

    /// Calls to the directory at once, 1 to 1,024
    #[arg(
        long,
        env = "TOKENBIND_USER_DIRECTORY_CONCURRENCY",
        value_name = "N",
        default_value = "32"
    )]
    user_directory_concurrency: String,

    /// Below which entry users are searched for; required for LDAP
    #[arg(long, env = "TOKENBIND_LDAP_BASE_DN", value_name = "DN")]
    ldap_base_dn: Option<String>,

    /// The search filter that finds a user
    #[arg(
        long,
        env = "TOKENBIND_LDAP_FILTER",
        value_name = "FILTER",
        default_value = "(uid={username})"
    )]
    ldap_filter: String,

    /// The attribute that names the user in tokens; an entry has one value of it
    #[arg(
        long,
        env = "TOKENBIND_LDAP_USERNAME_ATTRIBUTE",
        value_name = "NAME",
        default_value = "uid"
    )]
    ldap_username_attribute: String,

    /// Attributes that claims can be mapped from, separated by commas
    #[arg(long, env = "TOKENBIND_LDAP_ATTRIBUTES", value_name = "NAMES", value_delimiter = ',')]
    ldap_attributes: Vec<String>,

    /// As whom to search [default: anonymously]
    #[arg(long, env = "TOKENBIND_LDAP_BIND_DN", value_name = "DN")]
    ldap_bind_dn: Option<String>,

    /// File with the password of --ldap-bind-dn
    #[arg(long, env = "TOKENBIND_LDAP_BIND_PASSWORD_FILE", value_name = "FILE")]
    ldap_bind_password_file: Option<PathBuf>,

    /// Begin TLS on an `ldap://` connection
    #[arg(long, env = "TOKENBIND_LDAP_STARTTLS")]
    ldap_starttls: bool,
}

/// A checked choice.
#[derive(Debug)]
pub struct DirectoryConfig {
    kind: Kind,
    deadline: Duration,
    concurrency: NonZeroUsize,
}

#[derive(Debug)]
enum Kind {
    Builtin,
    Grpc {
        endpoint: Box<Endpoint>,
        tls: Option<DirectoryTls>,
    },
    Ldap(Box<LdapSettings>),
}

impl DirectoryArgs {
    /// Checks every flag, and reads the files that they name.
    pub fn check(self, violations: &mut Violations) -> Option<DirectoryConfig> {
        let deadline = violations.parse_in(
            "--user-directory-timeout-ms",
            &self.user_directory_timeout_ms,
            50..=30_000_u64,
        );
        let concurrency = violations.parse_in(
            "--user-directory-concurrency",
            &self.user_directory_concurrency,
            1..=1_024_usize,
        );
        let kind = self.kind(violations);
        Some(DirectoryConfig {
            kind: kind?,
            deadline: Duration::from_millis(deadline?),
            concurrency: NonZeroUsize::new(concurrency?)?,
        })
    }

    fn kind(self, violations: &mut Violations) -> Option<Kind> {
        if self.user_directory == BUILTIN {
            return Some(Kind::Builtin);
        }
        let uri = self.user_directory.parse::<Uri>().ok();
        let uri = uri.filter(|uri| {
            let plain = matches!(uri.path(), "" | "/") && uri.query().is_none() && !self.user_directory.contains('@');
            plain && uri.host().is_some_and(|host| !host.is_empty())
        });
        match uri
            .as_ref()
            .and_then(|uri| Some((uri.scheme_str()?, uri.authority()?.as_str())))
        {
            Some((scheme @ ("grpc" | "grpcs"), authority)) => {
                let tls = self.tls(scheme == "grpcs", violations);
                let http = if scheme == "grpcs" { "https" } else { "http" };
                let endpoint = violations.record(URL, Endpoint::from_shared(format!("{http}://{authority}")))?;
                let endpoint = Box::new(endpoint);
                Some(Kind::Grpc { endpoint, tls })
            }
            Some((scheme @ ("ldap" | "ldaps"), authority)) => {
                let url = format!("{scheme}://{authority}");
                let tls = self.tls(scheme == "ldaps" || self.ldap_starttls, violations);
                Some(Kind::Ldap(Box::new(self.ldap(url, tls, violations)?)))
            }
            _ => {
                violations.push(
                    URL,
                    "must be `builtin`, `grpc[s]://host:port` or `ldap[s]://host[:port]`, without user and path",
                );
                None
            }
        }
    }

    /// What is wrong is recorded, and then nothing is started.
    fn tls(&self, wanted: bool, violations: &mut Violations) -> Option<DirectoryTls> {
        if !wanted {
            return None;
        }
        let Some(ca) = &self.user_directory_ca else {
            violations.push(tls::CA, "is required for TLS to the directory");
            return None;
        };
        let (cert, key) = (self.user_directory_cert.as_ref(), self.user_directory_key.as_ref());
        let identity = tls::identity(cert, key, violations);
        DirectoryTls::load(ca, identity, violations)
    }

    fn ldap(self, url: String, tls: Option<DirectoryTls>, violations: &mut Violations) -> Option<LdapSettings> {
        if self.ldap_base_dn.is_none() {
            violations.push("--ldap-base-dn", "is required for LDAP");
        }
        let named = ldap3::parse_filter(self.ldap_filter.replace(PLACEHOLDER, "x")).is_ok();
        if !named || !self.ldap_filter.contains(PLACEHOLDER) {
            violations.push("--ldap-filter", "must be a filter (RFC 4515) with `{username}` in it");
        }
        let bind = match (self.ldap_bind_dn, &self.ldap_bind_password_file) {
            (Some(dn), Some(file)) => password(file, violations).map(|password| (dn, password)),
            (None, None) => None,
            _ => {
                violations.push(
                    "--ldap-bind-dn",
                    "needs --ldap-bind-password-file, and the other way round",
                );
                None
            }
        };
        Some(LdapSettings {
            url,
            tls,
            start_tls: self.ldap_starttls,
            bind,
            base_dn: self.ldap_base_dn?,
            filter: self.ldap_filter,
            username_attribute: self.ldap_username_attribute,
            attributes: self.ldap_attributes,
        })
    }
}

impl DirectoryConfig {
    /// The directory. Nothing is connected to before it is asked.
    ///
    /// # Errors
    /// The transport refuses its TLS settings.
    pub fn open(self, clock: Arc<dyn Clock>) -> Result<Directory, tonic::transport::Error> {
        let encrypted = match &self.kind {
            Kind::Builtin => true,
            Kind::Grpc { tls, .. } => tls.is_some(),
            Kind::Ldap(settings) => settings.tls.is_some(),
        };
        if !encrypted {
            tracing::warn!("passwords are sent unencrypted to the user directory");
        }
        let remote: Box<dyn Remote> = match self.kind {
            Kind::Builtin => return Ok(Directory::Builtin),
            Kind::Grpc { endpoint, tls } => {
                let tls = tls.map(|tls| tls.for_tonic());
                Box::new(GrpcDirectory::new(*endpoint, tls, self.deadline)?)
            }
            Kind::Ldap(settings) => Box::new(LdapDirectory::new(*settings, self.deadline)),
        };
        let directory = ExternalDirectory::new(remote, clock, self.concurrency, self.deadline);
        Ok(Directory::External(Arc::new(directory)))
    }
}

/// A password without the end of its line; one that is empty would bind as nobody.
fn password(file: &Path, violations: &mut Violations) -> Option<SecretString> {
    const NAME: &str = "--ldap-bind-password-file";
    let content = std::fs::read_to_string(file).map_err(|problem| format!("{}: {problem}", file.display()));
    let content = violations.record(NAME, content)?;
    let password = content.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        violations.push(NAME, "holds no password");
        return None;
    }
    Some(password.into())
}
