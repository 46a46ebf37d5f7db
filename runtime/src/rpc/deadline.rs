//! A caller's `grpc-timeout`.

use http::HeaderMap;
use std::time::Duration;

/// The time that the caller gives the call, if it says so.
///
/// The format is `1*8DIGIT unit` (gRPC over HTTP/2, "Requests"). What does not follow it counts as absent, as it does for
/// tonic: the server's own bound still holds.
pub(crate) fn caller_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", http::HeaderValue::from_static(text));
        caller_timeout(&headers)
    }

    #[test]
    fn every_unit_is_understood() {
        let expected = [
            ("2H", Duration::from_secs(7200)),
            ("2M", Duration::from_secs(120)),
            ("2S", Duration::from_secs(2)),
            ("2m", Duration::from_millis(2)),
            ("2u", Duration::from_micros(2)),
            ("2n", Duration::from_nanos(2)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ];
        for (text, timeout) in expected {
            assert_eq!(parse(text), Some(timeout), "{text}");
        }
    }

    #[test]
    fn what_is_no_timeout_counts_as_absent() {
        for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "123456789S", "1 S", "S1"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(caller_timeout(&HeaderMap::new()), None);
    }
}
