//! Tests of the use cases beside issuing, named after the rules.

mod access;
mod applications;
mod bindings;
mod keys;
mod password;
mod revoke;
