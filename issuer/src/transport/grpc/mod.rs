//! gRPC: the services of `tokenbind.v1` that an issuer has.

pub mod access;
#[cfg(test)]
mod administration_tests;
mod application;
mod binding;
mod checks;
mod credentials;
mod key;
mod resource;
pub mod status;
pub(crate) mod token;
mod user;

use tokenbind_proto::v1::FILE_DESCRIPTOR_SET;
use tokenbind_proto::v1::application_service_server::ApplicationServiceServer;
use tokenbind_proto::v1::binding_service_server::BindingServiceServer;
use tokenbind_proto::v1::key_service_server::KeyServiceServer;
use tokenbind_proto::v1::resource_service_server::ResourceServiceServer;
use tokenbind_proto::v1::token_service_server::TokenServiceServer;
use tokenbind_proto::v1::user_service_server::UserServiceServer;
use tokenbind_runtime::server::Services;

use self::application::ApplicationRpc;
use self::binding::BindingRpc;
use self::key::KeyRpc;
use self::resource::ResourceRpc;
use self::token::TokenRpc;
use self::user::UserRpc;
use crate::context::Issuer;

/// Every service of an issuer, each refusing messages over `max_message_bytes`.
pub fn services(issuer: &Issuer, max_message_bytes: usize) -> Services {
    Services::new()
        .with_descriptors(FILE_DESCRIPTOR_SET)
        .add_service(
            TokenServiceServer::new(TokenRpc::new(issuer.clone())).max_decoding_message_size(max_message_bytes),
        )
        .add_service(
            BindingServiceServer::new(BindingRpc::new(issuer.clone())).max_decoding_message_size(max_message_bytes),
        )
        .add_service(KeyServiceServer::new(KeyRpc::new(issuer.clone())).max_decoding_message_size(max_message_bytes))
        .add_service(
            ApplicationServiceServer::new(ApplicationRpc::new(issuer)).max_decoding_message_size(max_message_bytes),
        )
        .add_service(UserServiceServer::new(UserRpc::new(issuer)).max_decoding_message_size(max_message_bytes))
        .add_service(ResourceServiceServer::new(ResourceRpc::new(issuer)).max_decoding_message_size(max_message_bytes))
}
