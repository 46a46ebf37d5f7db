//! What a validator needs, over a Redis.

use std::sync::Arc;
use std::time::Duration;

use tokenbind_index::redis::{Access, ConnectError, RedisIndex, RedisOptions, RedisTracking};
use tokenbind_index::{Clock, SkewLimits, SystemClock, WatchedClock};

use crate::facts::{CacheLimits, FactInputs};

/// Connects. A Redis that is not up yet is waited for: until then no question can be answered.
pub(crate) async fn over_redis(
    redis: &RedisOptions,
    lease: Duration,
    skew: SkewLimits,
    limits: CacheLimits,
) -> Result<FactInputs, ConnectError> {
    let redis = &RedisOptions {
        access: Access::ReadOnly,
        ..redis.clone()
    };
    let store = RedisIndex::connect_lazily(redis).await?;
    let clock: Arc<dyn Clock> = Arc::new(WatchedClock::new(Arc::new(SystemClock), skew));
    let tracking = RedisTracking::start(redis, Arc::clone(&clock), lease)?;
    Ok(FactInputs {
        store: Arc::new(store),
        tracking: Some(Arc::new(tracking)),
        clock,
        limits,
    })
}
