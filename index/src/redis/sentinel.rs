//! Asks sentinels who the primary is.
//!
//! All are asked at the same time, because the one that made another server the primary knows first, and one that is cut off
//! never hears: fewer than half of them are not believed. Whose failover is the latest (the highest `config-epoch`) is right: that
//! is how sentinels convince each other. Each also tells by itself when there is another primary (`+switch-master`).
//!
//! A primary that was started again may have lost what it acknowledged, and for a moment the sentinels may not know of the one
//! that has taken its place. So it is another server, and one that waits until all would know.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ProtocolVersion, RedisResult};
use tokio::time::Instant;

use super::ask::{Asked, Who, ask_all};
use super::barrier::Barrier;
use super::check::field;
use super::connect_error;
use super::connector::Connector;
use super::deployment::{address, host_and_port};
use super::options::ConnectError;
use super::topology::Found;

pub(super) struct SentinelFinder {
    master: String,
    who: Who,
    sentinels: Vec<Asked>,
    /// Whom they named last.
    primary: Option<(ConnectionAddr, MultiplexedConnection)>,
    /// What was believed last: what they said, and which start of the server that was.
    believed: Option<(Word, Box<str>)>,
    /// Another start of the same server, and when that was found.
    doubted: Option<(Box<str>, Instant)>,
}

/// How long a primary that was started again is not used. Sentinels tell each other every two seconds.
const DOUBT: Duration = Duration::from_secs(3);

/// What a sentinel answers: where the primary is, and all that it knows of it.
type Said = (Option<(String, u16)>, HashMap<String, String>);

/// What a sentinel says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    config_epoch: u64,
    host: String,
    port: u16,
}

impl SentinelFinder {
    pub(super) fn new(connector: &Connector, master: &str, looks: &Arc<Barrier>) -> Self {
        Self {
            master: master.to_owned(),
            who: Who::Sentinels(Arc::clone(looks)),
            sentinels: connector.deployment.seeds.iter().cloned().map(Asked::new).collect(),
            primary: None,
            believed: None,
            doubted: None,
        }
    }

    pub(super) async fn find(&mut self, connector: &Connector) -> Result<Vec<Found>, ConnectError> {
        let known = self.sentinels.len();
        let enough = known.div_ceil(2);
        let mut question = redis::pipe();
        // The one that makes another server the primary says so first in answer to this, and the other tells of which failover.
        question
            .cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.master);
        question.cmd("SENTINEL").arg("MASTER").arg(&self.master);
        let words = ask_all::<Said>(&mut self.sentinels, connector, &self.who, &question, enough);
        let words = words.await.map_err(|error| refused(&error, &self.master))?;
        if words.len() < enough {
            let text = format!("only {} of {known} sentinels answer", words.len());
            return Err(ConnectError::Unreachable(text));
        }
        let word = words.into_iter().filter_map(|(_, said)| word(said)).max();
        let word = word.ok_or_else(|| ConnectError::Unreachable("the sentinels do not say where it is".to_owned()))?;
        let primary = address(&word.host, word.port, connector.deployment.tls);
        let run = self.verify(connector, &primary).await?;
        self.believe(word, &run)?;
        Ok(vec![Found {
            address: primary,
            slots: Vec::new(),
            run: Some(run),
        }])
    }

    /// What a sentinel says can be old: a server that is the primary no longer says so itself. Answers which start of the server it
    /// is.
    async fn verify(&mut self, connector: &Connector, primary: &ConnectionAddr) -> Result<Box<str>, ConnectError> {
        let known = self.primary.take();
        let mut connection = match known {
            Some((address, connection)) if host_and_port(&address) == host_and_port(primary) => connection,
            _ => connect(connector, primary)
                .await
                .map_err(|error| connect_error(&error))?,
        };
        let mut question = redis::pipe();
        question.cmd("INFO").arg("replication").cmd("INFO").arg("server");
        let info: RedisResult<(String, String)> = question.query_async(&mut connection).await;
        let (replication, server) = info.map_err(|error| connect_error(&error))?;
        if field(&replication, "role") != "master" {
            let text = format!("the sentinels name {primary}, which is a replica; a failover may be under way");
            return Err(ConnectError::Unreachable(text));
        }
        self.primary = Some((primary.clone(), connection));
        Ok(field(&server, "run_id").into())
    }

    /// Whether this may be used.
    fn believe(&mut self, word: Word, run: &str) -> Result<(), ConnectError> {
        let was = self.believed.as_ref().filter(|(before, _)| *before == word);
        if was.is_some_and(|(_, before)| &**before != run) {
            let found = match &self.doubted {
                Some((doubted, found)) if &**doubted == run => *found,
                _ => Instant::now(),
            };
            self.doubted = Some((run.into(), found));
            if found.elapsed() < DOUBT {
                let text = format!(
                    "{}:{} was started again; a failover may be under way",
                    word.host, word.port
                );
                return Err(ConnectError::Unreachable(text));
            }
            tracing::warn!(
                host = word.host,
                port = word.port,
                "the primary was started again and no other has taken its place: what it had not written to disk is lost"
            );
        }
        self.doubted = None;
        self.believed = Some((word, run.into()));
        Ok(())
    }
}

async fn connect(connector: &Connector, address: &ConnectionAddr) -> RedisResult<MultiplexedConnection> {
    let client = connector.client(address, ProtocolVersion::RESP2)?;
    client
        .get_multiplexed_async_connection_with_config(&connector.config())
        .await
}

fn word((address, fields): Said) -> Option<Word> {
    let (host, port) = address.filter(|(host, _)| !host.is_empty())?;
    Some(Word {
        config_epoch: fields.get("config-epoch")?.parse().ok()?,
        host,
        port,
    })
}

fn refused(error: &redis::RedisError, master: &str) -> ConnectError {
    let text = error.to_string();
    if text.contains("No such master") {
        return ConnectError::Unfit(format!("the sentinels know no master `{master}`"));
    }
    if text.contains("unknown command") {
        return ConnectError::Unfit("what answers there is no sentinel".to_owned());
    }
    match connect_error(error) {
        ConnectError::Refused(text) => ConnectError::Refused(format!("{text} (a sentinel says so)")),
        // They have users of their own.
        ConnectError::Credentials(_) => ConnectError::Credentials(
            "a sentinel says so; give --redis-sentinel-user and --redis-sentinel-password-file".to_owned(),
        ),
        ConnectError::Unreachable(why) => ConnectError::Unreachable(format!("no sentinel answers: {why}")),
        other => other,
    }
}
