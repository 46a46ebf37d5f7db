//! All that a thief of Redis gets.

use redis::{Connection, FromRedisValue, Value, cmd};

/// Every key, every value in its parts, and the serialised form of every value.
pub fn dump(connection: &mut Connection) -> Vec<Vec<u8>> {
    let keys: Vec<Vec<u8>> = query(connection, "KEYS", b"*", &[]);
    let mut found = Vec::new();
    for key in keys {
        let kind: String = query(connection, "TYPE", &key, &[]);
        let value: Value = match kind.as_str() {
            "string" => query(connection, "GET", &key, &[]),
            "zset" => query(connection, "ZRANGE", &key, &["0", "-1", "WITHSCORES"]),
            "list" => query(connection, "LRANGE", &key, &["0", "-1"]),
            "set" => query(connection, "SMEMBERS", &key, &[]),
            "hash" => query(connection, "HGETALL", &key, &[]),
            "stream" => query(connection, "XRANGE", &key, &["-", "+"]),
            // It has ended since it was listed.
            "none" => continue,
            other => panic!("a Redis type that the dump does not know: {other}"),
        };
        collect(value, &mut found);
        let serialised: Option<Vec<u8>> = query(connection, "DUMP", &key, &[]);
        found.extend(serialised);
        found.push(key);
    }
    found
}

fn query<T: FromRedisValue>(connection: &mut Connection, command: &str, key: &[u8], rest: &[&str]) -> T {
    let answer = cmd(command).arg(key).arg(rest).query(connection);
    answer.unwrap_or_else(|error| panic!("{command}: {error}"))
}

fn collect(value: Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::BulkString(bytes) => found.push(bytes),
        Value::SimpleString(text) => found.push(text.into_bytes()),
        Value::Array(values) | Value::Set(values) => values.into_iter().for_each(|value| collect(value, found)),
        Value::Map(pairs) => pairs.into_iter().for_each(|(key, value)| {
            collect(key, found);
            collect(value, found);
        }),
        _ => {}
    }
}
