//! Refresh tokens over gRPC: C10, C11, C24, C75, case 9, A4–A6, A20, and R1–R4 and R6 where they reach them.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod fixture;
mod grant;
mod lost;
mod races;
mod replicas;
mod restart;
mod revoking;
