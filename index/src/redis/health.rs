//! Whether Redis is still what it was found to be.

use std::sync::Arc;

use futures::future::join_all;

use super::check::State;
use super::topology::Node;
use super::{RedisIndex, index_error, unfit};
use crate::error::IndexError;
use crate::store::Revision;

impl RedisIndex {
    /// The store's clock; of several primaries the latest, if most of them answer. What one of them lost, another cannot say.
    pub(super) async fn pulse(&self) -> Result<Revision, IndexError> {
        let nodes = self.nodes();
        let most = nodes.len() / 2 + 1;
        let answers = join_all(nodes.into_iter().map(|node| self.pulse_of(node))).await;
        let mut told: Vec<Revision> = Vec::with_capacity(answers.len());
        let mut last_error = IndexError::Unavailable("no primary of Redis is known".to_owned());
        for answer in answers {
            match answer {
                Ok(revision) => told.push(revision),
                // One that evicts, or refuses, is not made good by the others.
                Err(error @ IndexError::Misconfigured(_)) => return Err(error),
                Err(error) => last_error = error,
            }
        }
        let latest = told.iter().max().copied().filter(|_| told.len() >= most);
        latest.ok_or_else(|| {
            self.topology.suspect();
            last_error
        })
    }

    async fn pulse_of(&self, node: Arc<Node>) -> Result<Revision, IndexError> {
        let told = |error: &_| match index_error(error) {
            IndexError::Unavailable(why) => IndexError::Unavailable(format!("{}: {why}", node.name())),
            other => other,
        };
        let connection = self.lanes.connection(&self.topology, &node).await;
        let mut connection = connection.map_err(|error| told(&error))?;
        let state = State::ask(&mut connection).await.map_err(|error| told(&error))?;
        let shape = &self.topology.connector().deployment.shape;
        state.judge(&node.name(), shape).map_err(unfit)?;
        let time: Result<(Revision, Revision), _> = redis::cmd("TIME").query_async(&mut connection).await;
        let (seconds, micros) = time.map_err(|error| told(&error))?;
        let revision = seconds * 1_000_000 + micros;
        node.clock.told(revision);
        Ok(revision)
    }
}
