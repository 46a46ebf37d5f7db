//! What an application, a user and a resource may be. The catalog file and the admin RPCs share these checks, so whatever one
//! of them refuses the other refuses too.
//!
//! Each check answers every violation it finds, with the path of the field below the thing that is checked.

mod application;
mod authentication;
mod binding_type;
mod claims;
pub(crate) mod documents;
mod password;
mod refresh_tokens;
mod resource;
pub(crate) mod suspension;
#[cfg(test)]
pub(crate) mod test_support;
mod text;
mod user;
mod violations;

pub use application::{check_application, normalize_application};
pub use authentication::uses_secret;
pub use password::{check_password, check_password_hash};
pub use resource::check_resource;
pub(crate) use text::{audience_problem, scope_problem};
pub use text::{client_id_problem, resource_id_problem, username_problem};
pub use user::check_user;

/// How many secrets of one application or resource are good at the same time.
pub const MAX_SECRETS: usize = 5;
