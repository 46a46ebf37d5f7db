//! The parts that claims are made of, in their exact types.

use serde::{Deserialize, Deserializer};

/// One audience or several (RFC 7519, section 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// A text.
    One(String),
    /// An array of texts.
    Several(Vec<String>),
}

impl Audience {
    /// All of them.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(audience) => std::slice::from_ref(audience),
            Self::Several(audiences) => audiences,
        }
    }
}

/// Whole seconds since 1970. The RFC would allow fractions; nobody that we know writes them, and a time of another type than
/// a number has been read as none at all before (CVE-2026-25537), so anything else is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "u64")]
pub struct NumericDate(pub u64);

impl NumericDate {
    /// The end of the year 9999, the last second that a protobuf `Timestamp` can hold.
    pub const MAX: u64 = 253_402_300_799;

    /// Microseconds since 1970.
    pub fn as_micros(self) -> u64 {
        self.0 * 1_000_000
    }
}

impl TryFrom<u64> for NumericDate {
    type Error = &'static str;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        if seconds > Self::MAX {
            return Err("a time after the year 9999");
        }
        Ok(Self(seconds))
    }
}

/// For `deserialize_with`: an optional claim may be absent, but not `null`.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
