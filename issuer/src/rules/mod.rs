//! Tests of the use cases beside issuing, named after the rules.

mod access;
mod applications;
mod bindings;
mod clock;
mod key_set;
mod keys;
mod password;
mod revoke;
mod withdrawn_keys;
