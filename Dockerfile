# One image for each program: `docker build --target issuer .`, `--target validator`, `--target cli`. scripts/image builds all of them,
# for several architectures, the same bits for the same commit and builder, also without Docker.
#
# The builder is any image with the Rust that rust-version in Cargo.toml asks for, a C compiler, glibc's static libraries (2.34 or
# later) and certificates. Pin it by digest: --build-arg BUILDER=…@sha256:…
ARG BUILDER=rust:1.95-bookworm

# On this machine's architecture for all: compiled across, not emulated.
FROM --platform=$BUILDPLATFORM ${BUILDER} AS build
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN scripts/static "$TARGETARCH" /out

# All that the images take, and the layers of the build leave behind.
FROM scratch AS files
# Whom to believe: trusted issuers' keys come by https.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out /

FROM scratch AS base
COPY --from=files /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ARG REVISION
LABEL org.opencontainers.image.licenses="Apache-2.0" org.opencontainers.image.revision="$REVISION"

FROM base AS issuer
COPY --from=files /issuer /issuer
LABEL org.opencontainers.image.title="tokenbind issuer"
EXPOSE 7001 9090
ENTRYPOINT ["/issuer"]

FROM base AS validator
COPY --from=files /validator /validator
LABEL org.opencontainers.image.title="tokenbind validator"
EXPOSE 7002 9090
ENTRYPOINT ["/validator"]

FROM base AS cli
COPY --from=files /tokenbind /tokenbind
LABEL org.opencontainers.image.title="tokenbind"
ENTRYPOINT ["/tokenbind"]
