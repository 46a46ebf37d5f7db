//! What can go wrong with a store.

use thiserror::Error;

/// A store could not do what it was asked. The texts are for the operator's log, never for a caller.
#[derive(Clone, Debug, Error)]
pub enum IndexError {
    /// The store did not answer, or not in time. A write may have happened or not; trying again later is right.
    #[error("the index cannot be reached: {0}")]
    Unavailable(String),
    /// The store is full and takes no further token. Revoking still works.
    #[error("the index is full: {0}")]
    Full(String),
    /// The store refuses to work as it is set up; an operator has to change that.
    #[error("the index is set up wrongly: {0}")]
    Misconfigured(String),
    /// What the store holds is not what this version writes.
    #[error("the index holds what cannot be read: {0}")]
    Corrupt(String),
}
