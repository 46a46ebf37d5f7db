//! Health, of each service by its name and of the server as a whole.

use tokenbind_tests::{Stack, health, on_every_backend};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

on_every_backend!(every_service_says_that_it_serves);

async fn every_service_says_that_it_serves(stack: Stack) {
    let issuer = [
        "",
        "TokenService",
        "BindingService",
        "ApplicationService",
        "UserService",
        "ResourceService",
        "KeyService",
    ];
    let validator = ["", "ValidationService"];
    for (server, names) in [(&stack.issuer, &issuer[..]), (&stack.validator, &validator)] {
        for name in names {
            let service = if name.is_empty() {
                String::new()
            } else {
                format!("tokenbind.v1.{name}")
            };
            assert_eq!(
                health(server, &service).await,
                Some(ServingStatus::Serving),
                "{service}"
            );
        }
        let request = HealthCheckRequest {
            service: "tokenbind.v1.NoService".to_owned(),
        };
        let error = HealthClient::new(server.clone()).check(request).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
    }
}
