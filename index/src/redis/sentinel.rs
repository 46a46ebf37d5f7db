//! Asks sentinels who the primary is.
//!
//! All are asked at the same time, because the one that made another server the primary knows first, and one that is cut off
//! never hears. Whose failover is the latest (the highest `config-epoch`) is right: that is how sentinels convince each other.
//! Each also tells by itself when there is another primary (`+switch-master`).

use std::collections::HashMap;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ProtocolVersion, RedisResult};

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
}

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
        }
    }

    pub(super) async fn find(&mut self, connector: &Connector) -> Result<Found, ConnectError> {
        let mut question = redis::pipe();
        question.cmd("SENTINEL").arg("MASTER").arg(&self.master);
        let words = ask_all::<(HashMap<String, String>,)>(&mut self.sentinels, connector, &self.who, &question);
        let words = words.await.map_err(|error| refused(&error, &self.master))?;
        let word = words.into_iter().filter_map(|(_, (fields,))| word(&fields)).max();
        let word = word.ok_or_else(|| ConnectError::Unreachable("the sentinels do not say where it is".to_owned()))?;
        let primary = address(&word.host, word.port, connector.deployment.tls);
        self.verify(connector, &primary).await?;
        Ok(vec![(primary, Vec::new())])
    }

    /// What a sentinel says can be old: a server that is the primary no longer says so itself.
    async fn verify(&mut self, connector: &Connector, primary: &ConnectionAddr) -> Result<(), ConnectError> {
        let known = self.primary.take();
        let mut connection = match known {
            Some((address, connection)) if host_and_port(&address) == host_and_port(primary) => connection,
            _ => connect(connector, primary)
                .await
                .map_err(|error| connect_error(&error))?,
        };
        let info: RedisResult<String> = redis::cmd("INFO").arg("replication").query_async(&mut connection).await;
        let info = info.map_err(|error| connect_error(&error))?;
        if field(&info, "role") != "master" {
            let text = format!("the sentinels name {primary}, which is a replica; a failover may be under way");
            return Err(ConnectError::Unreachable(text));
        }
        self.primary = Some((primary.clone(), connection));
        Ok(())
    }
}

async fn connect(connector: &Connector, address: &ConnectionAddr) -> RedisResult<MultiplexedConnection> {
    let client = connector.client(address, ProtocolVersion::RESP2)?;
    client
        .get_multiplexed_async_connection_with_config(&connector.config())
        .await
}

fn word(fields: &HashMap<String, String>) -> Option<Word> {
    Some(Word {
        config_epoch: fields.get("config-epoch")?.parse().ok()?,
        host: fields.get("ip").filter(|host| !host.is_empty())?.clone(),
        port: fields.get("port")?.parse().ok()?,
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
        other => other,
    }
}
