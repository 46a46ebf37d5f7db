//! The services over every Redis that operators run.

mod servers;
