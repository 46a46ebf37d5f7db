//! The one way in for every JWT that is not ours: subject and actor tokens, authorization grants, client assertions.

use serde::Deserialize;
use tokenbind_index::MAX_TOKEN_BYTES;
use tokenbind_jose::{Audience, CompactJws, Members, NumericDate, present};

use super::declared::TrustedIssuer;
use super::jwks::{KeySource, Unreachable};

/// How far ahead a clock of somebody else may be: for `nbf` and `iat`. Nothing is good at or after its `exp`. Seconds.
pub(crate) const LEEWAY_SECONDS: u64 = 30;
/// The longest that an application's own assertion may be good for, in seconds: its `jti` is remembered for that long.
pub(crate) const MAX_CLIENT_ASSERTION_SECONDS: u64 = 600;
/// The longest name of a subject, in bytes.
pub(crate) const MAX_SUBJECT_BYTES: usize = 255;
/// The longest `jti`, in bytes.
const MAX_JTI_BYTES: usize = 255;

/// What a JWT was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Subject or actor token of a token exchange.
    Exchange,
    /// Authorization grant: for this issuer alone, and for one use (RFC 7523, section 3).
    Grant,
    /// The token of a workload that an application authenticates with.
    Workload,
    /// What an application signed to authenticate: for this issuer alone, and for one use.
    Client,
}

impl Purpose {
    /// The media type that is for this alone; an access token of somebody is never an assertion.
    fn own_type(self) -> Option<&'static str> {
        match self {
            Self::Exchange | Self::Workload => None,
            Self::Grant => Some("authorization-grant+jwt"),
            Self::Client => Some("client-authentication+jwt"),
        }
    }

    /// Whether it is for one use and for nobody else.
    fn is_assertion(self) -> bool {
        matches!(self, Self::Grant | Self::Client)
    }
}

/// Why a JWT is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// For the log; who sent it learns only that it is not valid.
    Invalid(&'static str),
    /// It cannot be judged now.
    Unreachable(String),
}

impl From<Unreachable> for Refusal {
    fn from(unreachable: Unreachable) -> Self {
        Self::Unreachable(unreachable.0)
    }
}

/// What a verified JWT says.
#[derive(Debug)]
pub(crate) struct Assertion {
    /// Whom it speaks for, in the words of who signed it.
    pub(crate) subject: String,
    /// Its `iss`.
    pub(crate) issuer: String,
    /// Its `jti`; always there for one use.
    pub(crate) jti: Option<String>,
    /// Its `exp`, in seconds since 1970.
    pub(crate) expires_at: u64,
}

/// What is expected of it, apart from its signature.
pub(super) struct Expected<'a> {
    pub(super) purpose: Purpose,
    pub(super) issuer: &'a str,
    pub(super) audiences: &'a [&'a str],
    pub(super) types: &'a [String],
    pub(super) subject_claim: &'a str,
    pub(super) max_lifetime_seconds: u64,
    pub(super) max_age_seconds: Option<u64>,
    pub(super) now: u64,
}

impl<'a> Expected<'a> {
    pub(super) fn of(trusted: &'a TrustedIssuer, audiences: &'a [&'a str], purpose: Purpose, now: u64) -> Self {
        Self {
            purpose,
            issuer: &trusted.issuer,
            audiences,
            types: &trusted.types,
            subject_claim: &trusted.subject_claim,
            max_lifetime_seconds: trusted.max_lifetime_seconds.into(),
            max_age_seconds: (trusted.max_age_seconds > 0).then(|| trusted.max_age_seconds.into()),
            now,
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default, deserialize_with = "present")]
    sub: Option<String>,
    aud: Audience,
    exp: NumericDate,
    #[serde(default, deserialize_with = "present")]
    iat: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    jti: Option<String>,
    #[serde(flatten)]
    others: Members,
}

/// Whom a JWT says that it is from and about, unverified: only to find the key that must have signed it.
pub(crate) struct Claimed {
    pub(crate) issuer: String,
    pub(crate) subject: Option<String>,
}

/// Reads a JWT's `iss` and `sub`, unverified.
pub(crate) fn claimed_subject(token: &str) -> Option<Claimed> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let claims: Claims = serde_json::from_slice(&CompactJws::parse(token)?.unverified_payload()?).ok()?;
    Some(Claimed {
        issuer: claims.iss,
        subject: claims.sub,
    })
}

/// Verifies a JWT by the keys of whom it says that it is from.
pub(super) async fn verify(token: &str, keys: &KeySource, expected: &Expected<'_>) -> Result<Assertion, Refusal> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::Invalid("it is too long"));
    }
    let jws = CompactJws::parse(token).ok_or(Refusal::Invalid("it is no JWT"))?;
    check_type(&jws, expected)?;
    let key = keys.find(jws.kid(), jws.alg()).await?;
    let key = key.ok_or(Refusal::Invalid("there is no such key"))?;
    let payload = jws.verify(&key).ok_or(Refusal::Invalid("the signature is wrong"))?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| Refusal::Invalid("its claims are malformed"))?;
    check(claims, expected).map_err(Refusal::Invalid)
}

fn check_type(jws: &CompactJws<'_>, expected: &Expected<'_>) -> Result<(), Refusal> {
    let own = expected.purpose.own_type();
    let fits = jws.has_no_typ()
        || jws.is_typ("JWT")
        || own.is_some_and(|own| jws.is_typ(own))
        || expected.types.iter().any(|typ| jws.is_typ(typ));
    if fits {
        Ok(())
    } else {
        Err(Refusal::Invalid("its `typ` is not accepted"))
    }
}

fn check(mut claims: Claims, expected: &Expected<'_>) -> Result<Assertion, &'static str> {
    hold(claims.iss == expected.issuer, "its `iss` is another one")?;
    check_audience(&claims.aud, expected)?;
    check_times(&claims, expected)?;
    // Bound to a key that nobody proves here, or already acted on in words that are not ours: taking it would drop either.
    hold(!claims.others.has("cnf"), "it is bound to a key")?;
    hold(!claims.others.has("act"), "it has an actor already")?;
    if expected.purpose.is_assertion() {
        let fits = |jti: &String| (1..=MAX_JTI_BYTES).contains(&jti.len());
        hold(
            claims.jti.as_ref().is_some_and(fits),
            "it has no `jti`, or too long a one",
        )?;
    }
    let subject = match expected.subject_claim {
        "sub" => claims.sub,
        other => claims.others.take_text(other),
    };
    let subject = subject.ok_or("the claim that names its subject is missing or no text")?;
    let plain = (1..=MAX_SUBJECT_BYTES).contains(&subject.len()) && !subject.chars().any(char::is_control);
    hold(plain, "its subject cannot be a name")?;
    Ok(Assertion {
        subject,
        issuer: claims.iss,
        jti: claims.jti,
        expires_at: claims.exp.0,
    })
}

/// An assertion that is also for somebody else could be replayed by them (RFC 9700, RFC 7523): its only audience is this issuer.
fn check_audience(audience: &Audience, expected: &Expected<'_>) -> Result<(), &'static str> {
    let stated = audience.as_slice();
    let fits = |audience: &String| expected.audiences.contains(&audience.as_str());
    let good = if expected.purpose.is_assertion() {
        stated.len() == 1 && stated.iter().all(fits)
    } else {
        stated.iter().any(fits)
    };
    hold(good, "its `aud` is another one")
}

fn check_times(claims: &Claims, expected: &Expected<'_>) -> Result<(), &'static str> {
    let (now, latest) = (expected.now, expected.now + LEEWAY_SECONDS);
    let past = |time: Option<NumericDate>| time.is_none_or(|time| time.0 <= latest);
    hold(now < claims.exp.0, "it has expired")?;
    hold(past(claims.nbf), "it is not valid yet")?;
    hold(past(claims.iat), "it was issued in the future")?;
    // Who does not say since when it is good has issued it now.
    let since = claims.iat.or(claims.nbf).map_or(now, |time| time.0);
    let lifetime = claims.exp.0.saturating_sub(since);
    hold(lifetime <= expected.max_lifetime_seconds, "it lives longer than it may")?;
    let Some(max_age) = expected.max_age_seconds else {
        return Ok(());
    };
    let age = claims.iat.map(|iat| now.saturating_sub(iat.0));
    hold(
        age.is_some_and(|age| age <= max_age),
        "it is too old, or does not say how old it is",
    )
}

fn hold(condition: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if condition { Ok(()) } else { Err(otherwise) }
}
