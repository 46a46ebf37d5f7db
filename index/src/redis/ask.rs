//! Asks several servers the same at once, and does not wait for those that are silent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, FromRedisValue, Pipeline, ProtocolVersion, PushInfo, PushKind, RedisError, RedisResult};
use tokio::time::{self, Instant};

use super::barrier::Barrier;
use super::connector::Connector;

/// Where sentinels tell of a new primary.
const SWITCHED: &str = "+switch-master";
/// How long the others have when enough have answered.
const STRAGGLE: Duration = Duration::from_millis(100);

/// What the servers are: whoever asks has another user for each.
#[derive(Clone)]
pub(super) enum Who {
    /// They tell also by themselves that there is another primary: then somebody is to look.
    Sentinels(Arc<Barrier>),
    Nodes,
}

/// A server that is asked again and again.
pub(super) struct Asked {
    pub(super) address: ConnectionAddr,
    connection: Option<MultiplexedConnection>,
}

impl Asked {
    pub(super) fn new(address: ConnectionAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    async fn ask<T: FromRedisValue>(
        &mut self,
        connector: &Connector,
        who: &Who,
        question: &Pipeline,
    ) -> RedisResult<(ConnectionAddr, T)> {
        // Taken, so that one that is given up on half way is not used again.
        let mut connection = if let Some(connection) = self.connection.take() {
            connection
        } else {
            connect(connector, &self.address, who).await?
        };
        let answer = question.query_async(&mut connection).await?;
        self.connection = Some(connection);
        Ok((self.address.clone(), answer))
    }
}

async fn connect(connector: &Connector, address: &ConnectionAddr, who: &Who) -> RedisResult<MultiplexedConnection> {
    let Who::Sentinels(looks) = who else {
        let client = connector.client(address, ProtocolVersion::RESP2)?;
        return client
            .get_multiplexed_async_connection_with_config(&connector.config())
            .await;
    };
    let looks = Arc::clone(looks);
    let config = connector.config().set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::Message {
            looks.want();
        }
        Ok::<(), Infallible>(())
    });
    let client = connector.sentinel(address)?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    // A sentinel that does not let its user subscribe is asked often enough.
    let _ = connection.subscribe(SWITCHED).await;
    Ok(connection)
}

/// The answers of those who answer until a little after so many have as are `enough`; the last error if nobody does.
pub(super) async fn ask_all<T: FromRedisValue>(
    servers: &mut [Asked],
    connector: &Connector,
    who: &Who,
    question: &Pipeline,
    enough: usize,
) -> RedisResult<Vec<(ConnectionAddr, T)>> {
    let mut asked: FuturesUnordered<_> = servers
        .iter_mut()
        .map(|server| server.ask(connector, who, question))
        .collect();
    let mut answers = Vec::new();
    let mut last_error: Option<RedisError> = None;
    // The time-outs of the connections end it when too few answer.
    let mut end: Option<Instant> = None;
    loop {
        let next = match end {
            None => asked.next().await,
            Some(end) => time::timeout_at(end, asked.next()).await.unwrap_or(None),
        };
        match next {
            Some(Ok(answer)) => {
                answers.push(answer);
                if answers.len() >= enough {
                    end = end.or_else(|| Some(Instant::now() + STRAGGLE));
                }
            }
            Some(Err(error)) => last_error = Some(error),
            None => break,
        }
    }
    match last_error {
        Some(error) if answers.is_empty() => Err(error),
        _ => Ok(answers),
    }
}
