//! What the other tests stand on: servers that fail over, and slots that move.

use tokenbind_tests::{RedisCluster, RedisSentinel};

#[test]
fn a_sentinel_fails_over_when_told_and_when_the_primary_dies() {
    let mut redis = RedisSentinel::start();
    assert_eq!(redis.primary(), Some(0));
    let second = redis.failover();
    redis.wait_until_whole();
    redis.node(second).kill();
    redis.wait_for_primary_other_than(second);
    redis.node(second).restart();
    redis.wait_until_whole();
}

#[test]
fn a_cluster_fails_over_and_moves_slots() {
    let mut redis = RedisCluster::start();
    let slot = redis.slot(b"some key");
    let first = redis.owner(slot).unwrap();
    let second = redis.failover(first);
    redis.wait_until_whole();
    redis.node(second).kill();
    assert_eq!(redis.wait_for_owner_other_than(slot, second), first);
    redis.node(second).restart();
    redis.wait_until_whole();
    let to = (0..3).find(|number| *number != first && redis.nodes()[*number].role().as_deref() == Some("master"));
    redis.move_slot(slot, to.unwrap());
    assert_eq!(redis.owner(slot), to);
}
