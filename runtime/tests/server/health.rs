//! Health, and what else a server tells about itself.

use crate::support::{SERVICE, Server, config, until, within};
use futures::{FutureExt, future, stream};
use tokenbind_runtime::health::PROBE_TIMEOUT;
use tokio::{sync::watch, time::Instant};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

#[derive(Clone, Copy)]
enum Dependency {
    Up,
    Down,
    Stuck,
    Broken,
}

async fn start(dependency: &watch::Sender<Dependency>) -> Server {
    let seen = dependency.subscribe();
    Server::start_with_probe(config(), move || {
        let state = *seen.borrow();
        async move {
            match state {
                Dependency::Up => Ok(()),
                Dependency::Down => Err("the dependency is down".to_owned()),
                Dependency::Stuck => future::pending().await,
                Dependency::Broken => panic!("the probe is broken"),
            }
        }
        .boxed()
    })
    .await
}

#[tokio::test]
async fn health_follows_the_probe() {
    let dependency = watch::Sender::new(Dependency::Down);
    let server = start(&dependency).await;
    let client = server.client().await;
    for service in ["", SERVICE] {
        assert_eq!(
            client.health(service).await.unwrap(),
            ServingStatus::NotServing,
            "{service:?}"
        );
    }

    dependency.send_replace(Dependency::Up);
    until(|| client.is_serving()).await;
    assert_eq!(client.health(SERVICE).await.unwrap(), ServingStatus::Serving);
    assert!(server.readiness.is_ready());

    dependency.send_replace(Dependency::Down);
    until(|| async { !client.is_serving().await }).await;
    assert_eq!(client.health(SERVICE).await.unwrap(), ServingStatus::NotServing);

    dependency.send_replace(Dependency::Up);
    until(|| client.is_serving()).await;
}

#[tokio::test]
async fn nothing_serves_before_the_first_probe_has_ended() {
    let dependency = watch::Sender::new(Dependency::Stuck);
    let server = start(&dependency).await;
    let client = server.client().await;
    for service in ["", SERVICE] {
        assert_eq!(
            client.health(service).await.unwrap(),
            ServingStatus::NotServing,
            "{service:?}"
        );
    }
}

#[tokio::test]
async fn a_probe_that_hangs_has_failed() {
    let dependency = watch::Sender::new(Dependency::Up);
    let server = start(&dependency).await;
    let client = server.client().await;
    until(|| client.is_serving()).await;

    let before = Instant::now();
    dependency.send_replace(Dependency::Stuck);
    until(|| async { !client.is_serving().await }).await;
    assert!(before.elapsed() >= PROBE_TIMEOUT / 2, "turned for another reason");

    dependency.send_replace(Dependency::Up);
    until(|| client.is_serving()).await;
}

#[tokio::test]
async fn a_probe_that_panics_has_failed_and_may_recover() {
    let dependency = watch::Sender::new(Dependency::Up);
    let server = start(&dependency).await;
    let client = server.client().await;
    until(|| client.is_serving()).await;

    dependency.send_replace(Dependency::Broken);
    until(|| async { !client.is_serving().await }).await;
    dependency.send_replace(Dependency::Up);
    until(|| client.is_serving()).await;
}

#[tokio::test]
async fn watchers_are_told() {
    let dependency = watch::Sender::new(Dependency::Down);
    let server = start(&dependency).await;
    let request = HealthCheckRequest {
        service: SERVICE.to_owned(),
    };
    let mut client = HealthClient::new(server.client().await.0);
    let mut watching = within(client.watch(request)).await.unwrap().into_inner();

    let mut expect = async |expected: ServingStatus| {
        let answer = within(watching.message()).await.unwrap().unwrap();
        assert_eq!(answer.status(), expected);
    };
    expect(ServingStatus::NotServing).await;
    dependency.send_replace(Dependency::Up);
    expect(ServingStatus::Serving).await;
    dependency.send_replace(Dependency::Down);
    expect(ServingStatus::NotServing).await;
}

#[tokio::test]
async fn the_health_of_what_is_not_served_is_not_found() {
    let server = Server::start(config()).await;
    let status = server.client().await.health("test.v1.Other").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

const LISTED: [&str; 4] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    SERVICE,
];

#[tokio::test]
async fn reflection_v1_lists_what_is_served() {
    use v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let server = Server::start(config()).await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.client().await.0);
    let answers = within(client.server_reflection_info(stream::iter([request])))
        .await
        .unwrap();
    let answer = within(answers.into_inner().message()).await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, LISTED);
}

#[tokio::test]
async fn reflection_v1alpha_does_as_well() {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let server = Server::start(config()).await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.client().await.0);
    let answers = within(client.server_reflection_info(stream::iter([request])))
        .await
        .unwrap();
    let answer = within(answers.into_inner().message()).await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, LISTED);
}
