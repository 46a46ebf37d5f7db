//! tokenbind validator.
