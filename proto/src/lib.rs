//! The contract of tokenbind: everything on the wire and everything in a record of the index, generated from the `.proto`
//! files beside this crate. What a message or field means is said there.
//!
//! Messages that hold a secret, a token or a raw binding id format as their name alone (`debug_redact` in the `.proto`).

/// `tokenbind.v1`: the wire.
pub mod v1 {
    #![expect(missing_docs, clippy::pedantic, clippy::large_enum_variant, reason = "generated")]
    tonic::include_proto!("tokenbind.v1");

    /// The descriptors of this package and what it imports, for gRPC reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tokenbind.v1.descriptors"));
}

/// `tokenbind.index.v1`: what the index stores.
pub mod index {
    /// Version 1.
    pub mod v1 {
        #![expect(missing_docs, reason = "generated")]
        tonic::include_proto!("tokenbind.index.v1");
    }
}

pub mod answering;

mod redacted {
    include!(concat!(env!("OUT_DIR"), "/redacted.rs"));
}
