//! The binding types that this version can enforce.

use tokenbind_proto::v1::BindingType;

/// What is wrong with a binding type, if anything. Whether none may be given is for the caller to say.
pub(super) fn problem(number: i32) -> Option<&'static str> {
    match BindingType::try_from(number) {
        Ok(BindingType::Dpop) => Some("dpop is not available in this version"),
        Ok(_) => None,
        Err(_) => Some("must be none, client-request or certificate"),
    }
}

/// Whether a token of this type is bound to something beside its application.
pub(super) fn binds(number: i32) -> bool {
    !matches!(
        BindingType::try_from(number),
        Ok(BindingType::Unspecified | BindingType::None)
    )
}
