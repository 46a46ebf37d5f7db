//! Where in a request a question stands.

use std::fmt::Display;

/// Errors name a field by its path from the request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Place {
    /// It is the request.
    #[default]
    Whole,
    /// It is the request's field `request`.
    Field,
    /// It is one of the request's `requests`.
    Element(usize),
}

impl Place {
    pub(super) fn path(self, field: impl Display) -> String {
        match self {
            Self::Whole => field.to_string(),
            Self::Field => format!("request.{field}"),
            Self::Element(index) => format!("requests[{index}].{field}"),
        }
    }
}
