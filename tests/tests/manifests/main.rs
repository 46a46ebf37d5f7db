//! `deploy/kubernetes` as a cluster would see it: rendered, held to the schemas of Kubernetes and to our own rules, and run.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod cluster;
mod hardening;
mod image;
mod network;
mod references;
mod render;
mod running;
mod scaling;
mod schemas;
mod serving;
