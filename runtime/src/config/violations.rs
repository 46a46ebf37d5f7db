//! What is wrong with a configuration.

use std::{
    error::Error,
    fmt::{self, Display, Formatter},
    net::SocketAddr,
    ops::RangeInclusive,
    str::FromStr,
};

/// Every error of a configuration. Displays one per line, in the order they were found.
///
/// A value is never repeated in its own violation: it may hold a secret.
#[derive(Debug, Default)]
#[must_use = "a configuration with violations must not be used"]
pub struct Violations(Vec<String>);

impl Violations {
    /// No violation so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that the setting `name` (such as `--listen`) has a problem.
    pub fn push(&mut self, name: &str, problem: impl Display) {
        self.0.push(format!("{name}: {problem}"));
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// An address to listen on, or records that it is none.
    pub fn parse_address(&mut self, name: &str, text: &str) -> Option<SocketAddr> {
        const PROBLEM: &str = "must be IP:PORT, such as 127.0.0.1:7001 or [::]:7001; a host name is none";
        self.record(name, text.trim().parse().map_err(|_| PROBLEM))
    }

    /// Parses the value of one setting and holds it to a range, both ends included.
    pub fn parse_in<T>(&mut self, name: &str, text: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let value = text.trim().parse().ok().filter(|value| range.contains(value));
        if value.is_none() {
            let (low, high) = range.into_inner();
            self.push(name, format_args!("must be a number from {low} to {high}"));
        }
        value
    }

    /// The value of `result`, or its error recorded.
    pub fn record<T>(&mut self, name: &str, result: Result<T, impl Display>) -> Option<T> {
        result.map_err(|problem| self.push(name, problem)).ok()
    }

    /// The identifier of a server (RFC 8414, section 2), but for the scheme: whether TLS ends here or before is not for this
    /// check.
    pub fn plain_url(&mut self, name: &str, url: String) -> Option<String> {
        let parsed = url.parse::<http::Uri>().ok();
        let fits = parsed.is_some_and(|uri| {
            let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
            scheme && uri.host().is_some_and(|host| !host.is_empty()) && !url.contains(['?', '#', '@'])
        });
        if !fits || url.len() > 255 {
            let problem = "must be an http or https URL of at most 255 bytes without user, query or fragment";
            self.push(name, problem);
            return None;
        }
        Some(url)
    }

    /// The end of a check: `value` if there is one and nothing at all was wrong, or else what was.
    ///
    /// # Errors
    /// All violations recorded so far.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl Display for Violations {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Error for Violations {}
