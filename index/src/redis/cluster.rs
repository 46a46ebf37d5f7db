//! Asks the nodes of a cluster who has which slots.
//!
//! All that are known are asked at the same time: one that is cut off from the others, or was asleep, tells of the past. Whose
//! epoch is the latest, and who says that the cluster is well, is right.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::{ConnectionAddr, RedisError, Value, from_redis_value};

use super::ask::{Asked, Who, ask_all};
use super::check::field;
use super::connect_error;
use super::connector::Connector;
use super::deployment::{address, host_and_port};
use super::options::ConnectError;
use super::topology::Found;

pub(super) struct ClusterFinder {
    seeds: Vec<ConnectionAddr>,
    nodes: Vec<Asked>,
}

impl ClusterFinder {
    pub(super) fn new(connector: &Arc<Connector>) -> Self {
        Self {
            seeds: connector.deployment.seeds.clone(),
            nodes: Vec::new(),
        }
    }

    pub(super) async fn find(
        &mut self,
        connector: &Connector,
        known: &[ConnectionAddr],
    ) -> Result<Vec<Found>, ConnectError> {
        self.remember(known);
        let mut question = redis::pipe();
        question.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
        let words = ask_all::<(String, Vec<Value>)>(&mut self.nodes, connector, &Who::Nodes, &question, 1);
        let words = words.await.map_err(|error| refused(&error))?;
        let best = words.into_iter().max_by_key(|(_, (info, _))| {
            let epoch: u64 = field(info, "cluster_current_epoch").parse().unwrap_or(0);
            (field(info, "cluster_state") == "ok", epoch)
        });
        let Some((asked, (_, ranges))) = best else {
            return Err(ConnectError::Unreachable("no node of the cluster answers".to_owned()));
        };
        let found = primaries(&ranges, &asked, connector.deployment.tls);
        if found.is_empty() {
            return Err(ConnectError::Unreachable("no node of the cluster has slots".to_owned()));
        }
        Ok(found)
    }

    /// The seeds may be gone by now, and what is known may be gone too.
    fn remember(&mut self, known: &[ConnectionAddr]) {
        let wanted: Vec<_> = known.iter().chain(&self.seeds).collect();
        self.nodes.retain(|node| {
            wanted
                .iter()
                .any(|address| host_and_port(address) == host_and_port(&node.address))
        });
        for address in wanted {
            let is_there = |node: &Asked| host_and_port(&node.address) == host_and_port(address);
            if !self.nodes.iter().any(is_there) {
                self.nodes.push(Asked::new(address.clone()));
            }
        }
    }
}

/// Reads `CLUSTER SLOTS`. A node that does not know its own name leaves it out.
fn primaries(ranges: &[Value], asked: &ConnectionAddr, tls: bool) -> Vec<Found> {
    let mut found: BTreeMap<(String, u16), Vec<(u16, u16)>> = BTreeMap::new();
    let own = host_and_port(asked).map_or("", |(host, _)| host);
    for range in ranges {
        let Value::Array(range) = range else { continue };
        let [first, last, Value::Array(primary), ..] = range.as_slice() else {
            continue;
        };
        let host: Option<String> = primary
            .first()
            .and_then(|host| from_redis_value(host.clone()).ok())
            .flatten();
        let host = host.filter(|host| !host.is_empty() && host != "?");
        let port = primary.get(1).and_then(|port| from_redis_value(port.clone()).ok());
        let ends = (from_redis_value(first.clone()), from_redis_value(last.clone()));
        if let (Some(port), (Ok(first), Ok(last))) = (port, ends) {
            let host = host.unwrap_or_else(|| own.to_owned());
            found.entry((host, port)).or_default().push((first, last));
        }
    }
    let found = found.into_iter();
    found
        .map(|((host, port), slots)| Found {
            address: address(&host, port, tls),
            slots,
            // A node that was started again serves when it has heard from most of the others.
            run: None,
        })
        .collect()
}

fn refused(error: &RedisError) -> ConnectError {
    let text = error.to_string();
    if text.contains("unknown command") {
        return ConnectError::Unfit(format!("what answers there is no Redis ({text})"));
    }
    if text.contains("cluster support disabled") {
        return ConnectError::Unfit("what answers there is no node of a cluster; write redis://".to_owned());
    }
    match connect_error(error) {
        ConnectError::Unreachable(why) => ConnectError::Unreachable(format!("no node of the cluster answers: {why}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_a_name_is_the_one_that_was_asked() {
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), Value::SimpleString("id".to_owned())]);
        let range = |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let ranges = [
            range(0, 5, node(Value::Nil, 1)),
            range(9, 9, node(Value::BulkString(Vec::new()), 1)),
            range(6, 8, node(Value::BulkString(b"b".to_vec()), 2)),
            Value::Nil,
        ];
        let found = primaries(&ranges, &address("a", 7, false), false);
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.address.to_string(), found.slots.clone()))
            .collect();
        let expected = [
            ("a:1".to_owned(), vec![(0, 5), (9, 9)]),
            ("b:2".to_owned(), vec![(6, 8)]),
        ];
        assert_eq!(found, expected);
    }
}
