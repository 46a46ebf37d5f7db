//! tokenbind issuer.
