//! What a URL says of where Redis is.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo, RedisError};
use secrecy::{ExposeSecret as _, SecretString};

use super::options::ConnectError;

/// Where sentinels listen unless told otherwise.
const SENTINEL_PORT: u16 = 26_379;

/// A Redis as operators run it.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    pub(super) shape: Shape,
    /// The server itself, the sentinels, or some nodes of the cluster.
    pub(super) seeds: Vec<ConnectionAddr>,
    pub(super) tls: bool,
    /// User, password and database.
    pub(super) settings: RedisConnectionInfo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One server, always the same.
    Standalone,
    /// One primary, which the sentinels name.
    Sentinel { master: String },
    /// Several primaries that share the keys.
    Cluster,
}

impl Deployment {
    /// # Errors
    /// [`ConnectError::Url`], which does not repeat the URL.
    pub(super) fn parse(url: &SecretString) -> Result<Self, ConnectError> {
        let url = url.expose_secret();
        match url.split_once("://") {
            Some(("redis+sentinel", rest)) => Self::sentinel(rest, false),
            Some(("rediss+sentinel", rest)) => Self::sentinel(rest, true),
            Some(("redis+cluster", rest)) => Self::cluster(rest, false),
            Some(("rediss+cluster", rest)) => Self::cluster(rest, true),
            _ => Self::standalone(url),
        }
    }

    fn standalone(url: &str) -> Result<Self, ConnectError> {
        let info = info(url)?;
        Ok(Self {
            shape: Shape::Standalone,
            tls: matches!(info.addr(), ConnectionAddr::TcpTls { .. }),
            seeds: vec![info.addr().clone()],
            settings: info.redis_settings().clone(),
        })
    }

    fn sentinel(rest: &str, tls: bool) -> Result<Self, ConnectError> {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (master, database) = path.split_once('/').unwrap_or((path, "0"));
        let named = !master.is_empty()
            && master
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#%/".contains(&byte));
        if !named {
            return Err(invalid(
                "behind the sentinels must follow the name that they have for the master",
            ));
        }
        let database: i64 = database.parse().map_err(|_| invalid("the database must be a number"))?;
        let (seeds, settings) = hosts(authority, tls, SENTINEL_PORT)?;
        Ok(Self {
            shape: Shape::Sentinel {
                master: master.to_owned(),
            },
            seeds,
            tls,
            settings: settings.set_db(database),
        })
    }

    fn cluster(rest: &str, tls: bool) -> Result<Self, ConnectError> {
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('/') {
            return Err(invalid("a cluster has no databases"));
        }
        let (seeds, settings) = hosts(authority, tls, 6_379)?;
        Ok(Self {
            shape: Shape::Cluster,
            seeds,
            tls,
            settings,
        })
    }
}

/// An address of the same kind as the rest of a deployment.
pub(super) fn address(host: &str, port: u16, tls: bool) -> ConnectionAddr {
    let host = host.to_owned();
    if tls {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

/// Host and port, if it has them.
pub(super) fn host_and_port(address: &ConnectionAddr) -> Option<(&str, u16)> {
    match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some((host, *port)),
        _ => None,
    }
}

/// The parts that all of them have, by the parser that knows how to write each.
fn hosts(
    authority: &str,
    tls: bool,
    default_port: u16,
) -> Result<(Vec<ConnectionAddr>, RedisConnectionInfo), ConnectError> {
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let mut settings = RedisConnectionInfo::default();
    let mut seeds = Vec::new();
    for host in hosts.split(',') {
        let url = format!("redis://{user}{host}");
        let info = info(&url)?;
        let has_port = redis::parse_redis_url(&url).is_some_and(|url| url.port().is_some());
        let (host, port) = host_and_port(info.addr()).ok_or_else(|| invalid("a host is missing"))?;
        seeds.push(address(host, if has_port { port } else { default_port }, tls));
        settings = info.redis_settings().clone();
    }
    Ok((seeds, settings))
}

fn info(url: &str) -> Result<ConnectionInfo, ConnectError> {
    let info = url.into_connection_info().map_err(|error| unparsed(url, &error))?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(invalid(
            "certificates are always verified; give the authority by --redis-ca",
        ));
    }
    Ok(info)
}

/// What is wrong with a URL, in words for whoever wrote it: those of the parser are for programmers.
fn unparsed(url: &str, error: &RedisError) -> ConnectError {
    let text = error.to_string();
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    invalid(match scheme {
        None => "it does not begin with redis:// or another of the schemes",
        Some(scheme) if !["redis", "rediss"].contains(&scheme) => "it begins with a scheme that is none of Redis",
        Some(_) if text.contains("hostname") => "the host is missing",
        Some(_) if text.contains("database") => "the database must be a number",
        Some(_) => {
            "it cannot be read; `/`, `@`, `:`, `#`, `?` and `%` in a user or password must be percent-encoded (a file, \
             --redis-password-file, has them as they are), and a port is at most 65535"
        }
    })
}

fn invalid(what: &str) -> ConnectError {
    ConnectError::Url(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Deployment, ConnectError> {
        Deployment::parse(&url.to_owned().into())
    }

    fn seeds(url: &str) -> Vec<String> {
        parse(url).unwrap().seeds.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_form_is_understood() {
        let one = parse("rediss://u:p%40@h:1/3").unwrap();
        assert!(one.tls && one.shape == Shape::Standalone);
        assert_eq!(
            (one.settings.username(), one.settings.password()),
            (Some("u"), Some("p@"))
        );

        let sentinel = parse("redis+sentinel://u:p%2C@a:1,b,[::1]:3/main/2").unwrap();
        assert_eq!(
            sentinel.shape,
            Shape::Sentinel {
                master: "main".to_owned()
            }
        );
        assert_eq!((sentinel.settings.password(), sentinel.settings.db()), (Some("p,"), 2));
        assert_eq!(
            seeds("redis+sentinel://a:1,b,[::1]:3/main"),
            ["a:1", "b:26379", "::1:3"]
        );

        let cluster = parse("rediss+cluster://a,b:7/").unwrap();
        assert!(cluster.tls && cluster.shape == Shape::Cluster);
        assert_eq!(seeds("redis+cluster://a,b:7"), ["a:6379", "b:7"]);
    }

    #[test]
    fn whatever_else_is_refused_without_repeating_it() {
        for url in [
            "http://u:canary@h",
            "redis+sentinel://u:canary@h",
            "redis+sentinel://u:canary@h/",
            "redis+sentinel://u:canary@h/main/x",
            "redis+sentinel://u:canary@h/main?x=1",
            "redis+sentinel://u:canary@,h/main",
            "redis+cluster://u:canary@h/1",
            "redis+cluster://u:canary@",
            "rediss://u:canary@h/#insecure",
            "rediss+unix://u:canary@h",
        ] {
            let error = parse(url).expect_err(url).to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        for (url, why) in [
            ("h:6379", "does not begin with redis://"),
            ("sentinel://h/main", "a scheme that is none of Redis"),
            ("redis://", "the host is missing"),
            ("redis://h/x", "the database must be a number"),
            ("redis://u:a/b@h", "must be percent-encoded"),
            ("redis://h:99999", "a port is at most 65535"),
        ] {
            let error = parse(url).expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("ClientConfig"), "{url}: {error}");
        }
    }
}
