//! tokenbind tests.
