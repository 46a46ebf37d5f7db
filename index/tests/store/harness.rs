//! A store under test, whose time the test moves.

use std::sync::Arc;
use std::time::Duration;

use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::redis::{RedisIndex, RedisOptions};
use tokenbind_index::{AttemptCounters, ManualClock, Namespace, Store};
use tokenbind_tests::RedisServer;

/// A store and a way to let its time pass.
pub(crate) struct Harness {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) attempts: Arc<dyn AttemptCounters>,
    time: Time,
}

enum Time {
    Manual(Arc<ManualClock>),
    Redis(RedisServer),
    Shared(Arc<dyn Servers>),
}

/// Servers that one test after the other uses.
pub(crate) trait Servers: Send + Sync {
    /// How they are reached.
    fn options(&self) -> RedisOptions;

    /// Those that hold keys.
    fn primaries(&self) -> Vec<&RedisServer>;
}

impl Harness {
    pub(crate) fn memory() -> Self {
        let clock = Arc::new(ManualClock::new(1_800_000_000_000_000));
        let store = MemoryIndex::new(clock.clone());
        Self {
            store: Arc::new(store.clone()),
            attempts: Arc::new(store),
            time: Time::Manual(clock),
        }
    }

    pub(crate) async fn redis() -> Self {
        Self::on(RedisServer::start()).await
    }

    pub(crate) async fn valkey() -> Self {
        Self::on(RedisServer::start_valkey()).await
    }

    /// An empty store on servers that are there.
    pub(crate) async fn over(servers: Arc<dyn Servers>) -> Self {
        for server in servers.primaries() {
            redis::cmd("FLUSHALL").exec(&mut server.connection()).expect("flush");
        }
        let mut options = servers.options();
        options.response_timeout = Duration::from_secs(30);
        options.connection_timeout = Duration::from_secs(30);
        let store = RedisIndex::connect(&options).await.expect("connect");
        Self {
            store: Arc::new(store.clone()),
            attempts: Arc::new(store),
            time: Time::Shared(servers),
        }
    }

    async fn on(server: RedisServer) -> Self {
        let mut options = RedisOptions::new(server.url().into(), Namespace::default());
        options.response_timeout = Duration::from_secs(30);
        let store = RedisIndex::connect(&options).await.expect("connect");
        Self {
            store: Arc::new(store.clone()),
            attempts: Arc::new(store),
            time: Time::Redis(server),
        }
    }

    pub(crate) fn server(&self) -> &RedisServer {
        let Time::Redis(server) = &self.time else {
            panic!("not a Redis")
        };
        server
    }

    /// Lets time pass. A Redis takes its time from the machine, so there everything that ends is moved closer instead.
    pub(crate) fn advance(&self, by: Duration) {
        match &self.time {
            Time::Manual(clock) => clock.advance(by),
            Time::Redis(server) => age(server, by),
            Time::Shared(servers) => servers.primaries().into_iter().for_each(|server| age(server, by)),
        }
    }

    /// Empties the store, as a Redis does that is flushed.
    pub(crate) fn flush(&self) {
        redis::cmd("FLUSHALL")
            .exec(&mut self.server().connection())
            .expect("flush");
    }
}

/// Takes `by` off every time to live, off the times in records (a family has its end in it), off the ends of life in every
/// subject's list (a list has a token under what follows from its record), and off the counters of attempts.
fn age(server: &RedisServer, by: Duration) {
    const AGE: &str = concat!(
        include_str!("../../src/redis/scripts/ends.lua"),
        r"
        local function lifetime_of(record)
          local lifetime, factor, at = 0, 1, 50
          repeat
            local byte = string.byte(record, at)
            lifetime, factor, at = lifetime + byte % 128 * factor, factor * 128, at + 1
          until byte < 128
          return lifetime
        end
        for _, key in ipairs(redis.call('KEYS', '*')) do
          local left = redis.call('PTTL', key)
          if left >= 0 then
            if left <= tonumber(ARGV[1]) then redis.call('DEL', key)
            else redis.call('PEXPIRE', key, left - ARGV[1]) end
          end
          local kind = redis.call('TYPE', key).ok
          -- What was used up is no record; a family's key is shorter than a slot's.
          local is_record = kind == 'string' and string.sub(key, 1, 11) == 'tokenbind:{'
          if is_record and #key == 43 then
            local ends = struct.unpack('<I8', redis.call('GET', key), 26)
            redis.call('SETRANGE', key, 25, struct.pack('<I8', ends - ARGV[1]))
          end
          if is_record then
            local revision = struct.unpack('<I8', redis.call('GET', key), 2)
            redis.call('SETRANGE', key, 1, struct.pack('<I8', revision - ARGV[1] * 1000))
          end
          if kind == 'hash' and left >= 0 and string.find(key, ':{attempts}', 1, true) then
            for _, field in ipairs({'f', 'u'}) do redis.call('HINCRBY', key, field, '-' .. ARGV[1]) end
          end
        end
        for _, key in ipairs(redis.call('KEYS', '*')) do
          if redis.call('TYPE', key).ok == 'zset' and redis.call('PTTL', key) >= 0 then
            for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
              local slot = string.sub(member, 1, 16)
              local record = #member == 29 and redis.call('GET', key .. slot)
              if record then
                local ends = listed_end(slot, struct.unpack('<I8', record, 2), lifetime_of(record))
                redis.call('ZADD', key, ends, member)
              else
                redis.call('ZINCRBY', key, -ARGV[1], member)
              end
            end
          end
        end
        return 1"
    );
    let by = u64::try_from(by.as_millis()).expect("a short time");
    let done: Result<i64, _> = redis::Script::new(AGE).arg(by).invoke(&mut server.connection());
    done.expect("let time pass");
}

/// Runs each promise on each store, as tests of their own.
macro_rules! on_every_store {
    ($($promise:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $promise() { super::$promise(crate::harness::Harness::memory()).await; })+
        }
        mod redis {
            $(#[tokio::test] async fn $promise() { super::$promise(crate::harness::Harness::redis().await).await; })+
        }
        mod valkey {
            $(#[tokio::test] async fn $promise() { super::$promise(crate::harness::Harness::valkey().await).await; })+
        }
        /// On servers that are too much for each to have its own, one after the other.
        pub(crate) async fn every_promise(servers: &std::sync::Arc<dyn crate::harness::Servers>) {
            $(
                eprintln!("{}", stringify!($promise));
                let on = crate::harness::Harness::over(std::sync::Arc::clone(servers)).await;
                Box::pin($promise(on)).await;
            )+
        }
    };
}

pub(crate) use on_every_store;
