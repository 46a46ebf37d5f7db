//! Which form of an answer a caller takes (RFC 9110, section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// RFC 9701, section 4.
pub(super) const JWT: &str = "application/token-introspection+jwt";

/// What `Accept` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// JSON, as it is without the header.
    Json,
    /// The signed form, or else JSON.
    JwtOrJson,
    /// The signed form alone.
    Jwt,
}

/// Only who names the signed form gets it: a wildcard means what introspection answers by default.
pub(super) fn accepted(headers: &HeaderMap) -> Accepted {
    let mut jwt = 0;
    let mut json = 0;
    for value in headers.get_all(ACCEPT) {
        for member in value.to_str().unwrap_or_default().split(',') {
            let mut parts = member.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(quality).unwrap_or(1_000);
            match range.as_str() {
                JWT => jwt = quality.max(jwt),
                "application/json" | "application/*" | "*/*" => json = quality.max(json),
                _ => {}
            }
        }
    }
    match (jwt, json) {
        (0, _) => Accepted::Json,
        (_, 0) => Accepted::Jwt,
        (jwt, json) if jwt >= json => Accepted::JwtOrJson,
        _ => Accepted::Json,
    }
}

/// `q=0.5`, in thousandths.
fn quality(parameter: &str) -> Option<u32> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let fraction = format!("{fraction:0<3}");
    let thousandths = whole.parse::<u32>().ok()?.checked_mul(1_000)?;
    Some((thousandths + fraction.get(..3)?.parse::<u32>().ok()?).min(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_the_signed_form_gets_it() {
        for (value, expected) in [
            ("", Accepted::Json),
            ("*/*", Accepted::Json),
            ("application/json", Accepted::Json),
            ("text/html", Accepted::Json),
            (JWT, Accepted::Jwt),
            ("application/Token-Introspection+JWT", Accepted::Jwt),
            ("application/token-introspection+jwt;q=0", Accepted::Json),
            ("application/token-introspection+jwt; q=0.000, */*", Accepted::Json),
            (
                "application/token-introspection+jwt, application/json",
                Accepted::JwtOrJson,
            ),
            ("application/token-introspection+jwt, */*;q=0.1", Accepted::JwtOrJson),
            (
                "application/token-introspection+jwt;q=0.5, application/json",
                Accepted::Json,
            ),
            (
                "application/token-introspection+jwt;q=x, application/json;q=0",
                Accepted::Jwt,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, value.parse().unwrap());
            assert_eq!(accepted(&headers), expected, "{value}");
        }
        assert_eq!(accepted(&HeaderMap::new()), Accepted::Json);
    }
}
