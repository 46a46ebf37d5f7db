//! Instants and spans.

use prost_types::{Duration, Timestamp};

/// RFC 3339; empty where there is none.
pub(crate) fn timestamp(time: Option<&Timestamp>) -> String {
    time.map(ToString::to_string).unwrap_or_default()
}

/// The same to the second, for people.
pub(crate) fn to_the_second(timestamp: &str) -> String {
    timestamp
        .split_once('.')
        .map_or_else(|| timestamp.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

/// Seconds with milliseconds where there are any.
pub(crate) fn span(span: Option<&Duration>) -> String {
    span.map(|span| {
        let milliseconds = span.nanos / 1_000_000;
        match milliseconds {
            0 => format!("{} s", span.seconds),
            _ => format!("{}.{milliseconds:03} s", span.seconds),
        }
    })
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        let time = Timestamp {
            seconds: 1_800_000_000,
            nanos: 0,
        };
        assert_eq!(timestamp(Some(&time)), "2027-01-15T08:00:00Z");
        let precise = Timestamp { nanos: 1_000, ..time };
        assert_eq!(to_the_second(&timestamp(Some(&precise))), timestamp(Some(&time)));
        assert_eq!(to_the_second(&timestamp(Some(&time))), timestamp(Some(&time)));
        let half = Duration {
            seconds: 2,
            nanos: 50_000_000,
        };
        assert_eq!(span(Some(&half)), "2.050 s");
        assert_eq!(span(Some(&Duration::default())), "0 s");
        assert_eq!(span(None), "");
    }
}
