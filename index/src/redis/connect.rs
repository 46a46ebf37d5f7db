//! Connecting.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use redis::aio::ConnectionLike;

use super::attempts::AttemptScripts;
use super::check::{State, permissions};
use super::connector::Connector;
use super::keys::Keys;
use super::options::{Access, ConnectError, RedisOptions};
use super::promise::Promises;
use super::scripts::Scripts;
use super::topology::{Node, Topology};
use super::{RedisIndex, connect_error};

/// How much of the time-out of an answer Redis has to begin with what it was sent: the rest is for the way.
const PATIENCE: f64 = 0.8;

impl RedisIndex {
    /// Connects and checks what it finds.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(options: &RedisOptions) -> Result<Self, ConnectError> {
        let index = Self::unchecked(options)?;
        index.check().await?;
        Ok(index)
    }

    /// The same for a Redis that may come up later. Until it was reached and checked, every operation is unavailable; a
    /// ping tries again.
    ///
    /// # Errors
    /// See [`ConnectError`]; never [`ConnectError::Unreachable`].
    pub async fn connect_lazily(options: &RedisOptions) -> Result<Self, ConnectError> {
        let index = Self::unchecked(options)?;
        match index.check().await {
            Err(ConnectError::Unreachable(error)) => tracing::warn!(%error, "Redis is not up yet"),
            checked => checked?,
        }
        Ok(index)
    }

    fn unchecked(options: &RedisOptions) -> Result<Self, ConnectError> {
        let connector = Arc::new(Connector::new(options)?);
        Ok(Self {
            topology: Arc::new(Topology::new(connector)),
            lanes: Arc::default(),
            checked: Arc::default(),
            promises: Promises::new(options),
            keys: Keys::new(options.namespace.clone()),
            access: options.access,
            patience: options.response_timeout.mul_f64(PATIENCE),
            scripts: Arc::new(Scripts::new()),
            attempts: Arc::new(AttemptScripts::new()),
        })
    }

    /// Looks whether this Redis can keep the promises of an index.
    pub(super) async fn check(&self) -> Result<(), ConnectError> {
        if self.topology.map().nodes().is_empty() {
            self.topology.look_first().await?;
        }
        let mut durable = true;
        for node in self.nodes() {
            durable &= self.check_node(&node).await?.is_durable();
        }
        if !durable && self.access == Access::ReadWrite {
            tracing::warn!(
                "Redis has no append-only file: what administration changed and what was revoked last may be lost when it restarts; \
                 set `appendonly yes`"
            );
        }
        self.checked.store(true, Ordering::Release);
        Ok(())
    }

    async fn check_node(&self, node: &Arc<Node>) -> Result<State, ConnectError> {
        let connection = self.lanes.connection(&self.topology, node).await;
        let mut connection = connection.map_err(|error| self.unreached(node, connect_error(&error)))?;
        let state = State::ask(&mut connection)
            .await
            .map_err(|error| connect_error(&error))?;
        state.judge(&node.name(), &self.topology.connector().deployment.shape)?;
        let map = self.topology.map();
        if let Some(key) = self
            .keys
            .unused(|key| map.node(key).is_some_and(|owner| owner.number == node.number))
        {
            permissions(&mut connection, &key, self.access).await?;
        }
        if self.access == Access::ReadWrite {
            self.load(&mut connection).await?;
        }
        Ok(state)
    }

    /// Whoever reads it has to know where it was looked for, and that a server without TLS says nothing to a client with.
    fn unreached(&self, node: &Node, error: ConnectError) -> ConnectError {
        let ConnectError::Unreachable(why) = error else {
            return error;
        };
        let mute = self.topology.connector().deployment.tls && why.contains("timed out");
        let hint = if mute { " (does that port speak TLS?)" } else { "" };
        ConnectError::Unreachable(format!("{}: {why}{hint}", node.name()))
    }

    /// Loaded before the first request, so that none pays for it; a restarted Redis gets them again when it misses them.
    async fn load(&self, connection: &mut impl ConnectionLike) -> Result<(), ConnectError> {
        for script in self.scripts.all().into_iter().chain(self.attempts.all()) {
            script
                .load_async(connection)
                .await
                .map_err(|error| connect_error(&error))?;
        }
        Ok(())
    }

    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        self.topology.map().nodes().to_vec()
    }
}
