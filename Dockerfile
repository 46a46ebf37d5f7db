# One image for each program: `docker build --target issuer .`, `--target validator`, `--target cli`. scripts/image builds all of them, with
# the timestamps of the commit, also without Docker.
#
# The builder is any image with the Rust that rust-version in Cargo.toml asks for, a C compiler, glibc's static libraries and
# certificates. Pin it by digest: --build-arg BUILDER=…@sha256:…
ARG BUILDER=rust:1.95-bookworm

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
# glibc linked in, so that the image holds the program and nothing else. --target keeps the flag from build scripts and macros.
ENV RUSTFLAGS="-C target-feature=+crt-static" CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_INCREMENTAL=0
RUN --mount=type=cache,target=/src/target \
    target=$(rustc -vV | sed -n 's/^host: //p') && \
    cargo build --release --locked --target "$target" -p tokenbind-issuer -p tokenbind-validator -p tokenbind-cli && \
    mkdir -p /out && cd "target/$target/release" && cp issuer validator tokenbind /out/

FROM scratch AS base
# Whom to believe: trusted issuers' keys come by https.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS issuer
COPY --from=build /out/issuer /issuer
LABEL org.opencontainers.image.title="tokenbind issuer" org.opencontainers.image.licenses="Apache-2.0"
EXPOSE 7001 9090
ENTRYPOINT ["/issuer"]

FROM base AS validator
COPY --from=build /out/validator /validator
LABEL org.opencontainers.image.title="tokenbind validator" org.opencontainers.image.licenses="Apache-2.0"
EXPOSE 7002 9090
ENTRYPOINT ["/validator"]

FROM base AS cli
COPY --from=build /out/tokenbind /tokenbind
LABEL org.opencontainers.image.title="tokenbind" org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/tokenbind"]
