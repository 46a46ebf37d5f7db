//! A directory that speaks LDAP (RFC 4511): the user's entry is searched for, and its DN bound with the password.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, SearchOptions, ldap_escape};
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_proto::v1::User;

use super::external::{Remote, RemoteError};
use super::tls::DirectoryTls;
use super::{KnownUser, Login};

/// Where the name of the user goes in the filter.
pub(super) const PLACEHOLDER: &str = "{username}";

/// Result codes of RFC 4511, section 4.1.9.
mod code {
    pub(super) const SUCCESS: u32 = 0;
    pub(super) const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub(super) const CONSTRAINT_VIOLATION: u32 = 19;
    pub(super) const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
    pub(super) const INVALID_CREDENTIALS: u32 = 49;
    pub(super) const BUSY: u32 = 51;
    pub(super) const UNAVAILABLE: u32 = 52;
    pub(super) const UNWILLING_TO_PERFORM: u32 = 53;
}

/// How a directory is asked.
#[derive(Clone, Debug)]
pub(super) struct LdapSettings {
    /// `ldap://` or `ldaps://`, host and port.
    pub(super) url: String,
    pub(super) tls: Option<DirectoryTls>,
    pub(super) start_tls: bool,
    /// As whom to search; anonymously without.
    pub(super) bind: Option<(String, SecretString)>,
    pub(super) base_dn: String,
    /// Has the [`PLACEHOLDER`].
    pub(super) filter: String,
    /// The attribute that names the user.
    pub(super) username_attribute: String,
    /// The attributes that claims can be mapped from.
    pub(super) attributes: Vec<String>,
}

pub(super) struct LdapDirectory {
    settings: LdapSettings,
    deadline: Duration,
    /// Searches, as the one who may. Many at once share it.
    searching: tokio::sync::Mutex<Option<Ldap>>,
    /// Connections that nobody binds on just now. A bind changes who a connection speaks for, so nothing else is asked there.
    binding: Mutex<Vec<Ldap>>,
}

impl LdapDirectory {
    /// Connects when it is first asked.
    pub(super) fn new(settings: LdapSettings, deadline: Duration) -> Self {
        Self {
            settings,
            deadline,
            searching: tokio::sync::Mutex::default(),
            binding: Mutex::default(),
        }
    }

    async fn connect(&self) -> Result<Ldap, RemoteError> {
        let mut options = LdapConnSettings::new()
            .set_conn_timeout(self.deadline)
            .set_starttls(self.settings.start_tls);
        if let Some(tls) = &self.settings.tls {
            options = options.set_config(tls.for_rustls());
        }
        let connected = LdapConnAsync::with_settings(options, &self.settings.url).await;
        let (connection, ldap) = connected.map_err(|error| down(&error))?;
        // It ends with the last handle.
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to the user directory ended");
            }
        });
        Ok(ldap)
    }

    /// A connection that may search, and whether it was there already.
    async fn searcher(&self) -> Result<(Ldap, bool), RemoteError> {
        let mut shared = self.searching.lock().await;
        if let Some(ldap) = shared.as_mut()
            && !ldap.is_closed()
        {
            return Ok((ldap.clone(), true));
        }
        let mut ldap = self.connect().await?;
        if let Some((dn, password)) = &self.settings.bind {
            let bound = ldap.simple_bind(dn, password.expose_secret()).await;
            let code = bound.map_err(|error| down(&error))?.rc;
            if code != code::SUCCESS {
                return Err(unexpected("the bind of --ldap-bind-dn", code));
            }
        }
        *shared = Some(ldap.clone());
        Ok((ldap, false))
    }

    async fn search(&self, username: &str) -> Result<Option<SearchEntry>, RemoteError> {
        let (mut ldap, old) = self.searcher().await?;
        match self.search_on(&mut ldap, username).await {
            // One that was idle may have been cut meanwhile.
            Err(RemoteError::Down(_)) if old => {
                *self.searching.lock().await = None;
                let (mut ldap, _) = self.searcher().await?;
                self.search_on(&mut ldap, username).await
            }
            outcome => outcome,
        }
    }

    async fn search_on(&self, ldap: &mut Ldap, username: &str) -> Result<Option<SearchEntry>, RemoteError> {
        let settings = &self.settings;
        let filter = filter(&settings.filter, username);
        let mut wanted: Vec<&str> = settings.attributes.iter().map(String::as_str).collect();
        wanted.push(&settings.username_attribute);
        ldap.with_search_options(SearchOptions::new().sizelimit(2));
        let found = ldap.search(&settings.base_dn, Scope::Subtree, &filter, wanted).await;
        let ldap3::SearchResult(mut entries, result) = found.map_err(|error| down(&error))?;
        match (result.rc, entries.len()) {
            (code::SUCCESS, 0) => Ok(None),
            (code::SUCCESS, 1) => Ok(entries.pop().map(SearchEntry::construct)),
            (code::SUCCESS | code::SIZE_LIMIT_EXCEEDED, _) => {
                Err(RemoteError::Odd("the filter finds more than one entry".to_owned()))
            }
            (code, _) => Err(unexpected("the search", code)),
        }
    }

    async fn bind(&self, dn: &str, password: &SecretString) -> Result<bool, RemoteError> {
        let idle = self.idle().pop();
        if let Some(ldap) = idle {
            match self.bind_on(ldap, dn, password).await {
                // Cut while nobody used it.
                Err(RemoteError::Down(_)) => {}
                outcome => return outcome,
            }
        }
        self.bind_on(self.connect().await?, dn, password).await
    }

    async fn bind_on(&self, mut ldap: Ldap, dn: &str, password: &SecretString) -> Result<bool, RemoteError> {
        let bound = ldap.simple_bind(dn, password.expose_secret()).await;
        let code = bound.map_err(|error| down(&error))?.rc;
        self.idle().push(ldap);
        match code {
            code::SUCCESS => Ok(true),
            // Wrong, disabled, locked, or without a password.
            code::INVALID_CREDENTIALS
            | code::INAPPROPRIATE_AUTHENTICATION
            | code::CONSTRAINT_VIOLATION
            | code::UNWILLING_TO_PERFORM => Ok(false),
            code => Err(unexpected("a bind", code)),
        }
    }

    /// Nobody's password takes as many trips as somebody's (A17). Whatever the server says of such a DN, it is a refusal.
    async fn refuse_nobody(&self, login: &Login) -> Result<Option<KnownUser>, RemoteError> {
        let base = &self.settings.base_dn;
        let nobody = format!("cn=nobody of this name{}{base}", if base.is_empty() { "" } else { "," });
        match self.bind(&nobody, &login.password).await {
            Err(RemoteError::Down(problem)) => Err(RemoteError::Down(problem)),
            Ok(_) | Err(RemoteError::Odd(_)) => Ok(None),
        }
    }

    /// As many as were ever in flight at once.
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Ldap>> {
        self.binding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Remote for LdapDirectory {
    async fn authenticate(&self, login: &Login) -> Result<Option<KnownUser>, RemoteError> {
        // RFC 4513, section 5.1.2: a bind without a password succeeds, and proves nothing.
        if login.password.expose_secret().is_empty() {
            return Ok(None);
        }
        let Some(entry) = self.search(&login.username).await? else {
            return self.refuse_nobody(login).await;
        };
        if !self.bind(&entry.dn, &login.password).await? {
            return Ok(None);
        }
        user(&self.settings, entry.attrs).map(Some)
    }
}

/// The filter that finds a user (RFC 4515); what has a meaning in filters has none in a name.
fn filter(template: &str, username: &str) -> String {
    template.replace(PLACEHOLDER, &ldap_escape(username))
}

fn user(settings: &LdapSettings, found: HashMap<String, Vec<String>>) -> Result<KnownUser, RemoteError> {
    // Names of attributes know no case.
    let found: BTreeMap<String, Vec<String>> = found
        .into_iter()
        .map(|(name, values)| (name.to_ascii_lowercase(), values))
        .collect();
    let of = |name: &str| found.get(&name.to_ascii_lowercase());
    let username = match of(&settings.username_attribute).map(Vec::as_slice) {
        Some([username]) => username.clone(),
        _ => {
            return Err(RemoteError::Odd(
                "an entry has not exactly one value of --ldap-username-attribute".to_owned(),
            ));
        }
    };
    let joined = |name: &String| {
        let mut values = of(name)?.clone();
        // LDAP keeps no order of values.
        values.sort_unstable();
        Some((name.clone(), values.join(",")))
    };
    let described = KnownUser::described(User {
        username,
        attributes: settings.attributes.iter().filter_map(joined).collect(),
        ..User::default()
    });
    described.ok_or_else(|| RemoteError::Odd("an entry has values beyond the limits of a user".to_owned()))
}

/// The text of an error of the connection; none repeats what was sent.
fn down(error: &LdapError) -> RemoteError {
    RemoteError::Down(error.to_string())
}

fn unexpected(what: &str, code: u32) -> RemoteError {
    let problem = format!("{what} was answered with result code {code}");
    match code {
        code::BUSY | code::UNAVAILABLE => RemoteError::Down(problem),
        _ => RemoteError::Odd(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_ever_a_value_in_a_filter() {
        for (name, expected) in [
            ("alice", "(uid=alice)"),
            ("*", "(uid=\\2a)"),
            ("a)(|(uid=*", "(uid=a\\29\\28|\\28uid=\\2a)"),
            ("a\\2a", "(uid=a\\5c2a)"),
            ("a\0b", "(uid=a\\00b)"),
            ("é{username}", "(uid=é{username})"),
        ] {
            assert_eq!(filter("(uid={username})", name), expected, "{name:?}");
        }
    }

    fn settings() -> LdapSettings {
        LdapSettings {
            url: String::new(),
            tls: None,
            start_tls: false,
            bind: None,
            base_dn: String::new(),
            filter: String::new(),
            username_attribute: "uid".to_owned(),
            attributes: vec!["mail".to_owned(), "memberOf".to_owned(), "missing".to_owned()],
        }
    }

    fn entry(attributes: &[(&str, &[&str])]) -> HashMap<String, Vec<String>> {
        let texts = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        attributes
            .iter()
            .map(|(name, values)| ((*name).to_owned(), texts(values)))
            .collect()
    }

    #[test]
    fn an_entry_becomes_a_user() {
        let found = entry(&[("UID", &["alice"]), ("memberof", &["b", "a"]), ("mail", &["a@x"])]);
        let user = user(&settings(), found).unwrap();
        assert_eq!(user.username, "alice");
        let expected = [("mail", "a@x"), ("memberOf", "a,b")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(user.attributes, BTreeMap::from(expected));
        assert_eq!((user.scopes, user.version), (None, None));
    }

    #[test]
    fn an_entry_without_one_clear_name_is_no_user() {
        for found in [
            entry(&[]),
            entry(&[("uid", &["a", "b"])]),
            entry(&[("uid", &["a\nb"])]),
            entry(&[("uid", &["a"]), ("mail", &[&"x".repeat(1_025)])]),
        ] {
            assert!(matches!(user(&settings(), found), Err(RemoteError::Odd(_))));
        }
    }
}
