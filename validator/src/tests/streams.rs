//! `StreamValidate` and `WatchToken` between a real server and a real client.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokenbind_index::{BindingIndex as _, DocumentKind, DocumentStore as _, Expect};
use tokenbind_index::{Namespace, Selection};
use tokenbind_proto::v1::stream_validate_response::Answer;
use tokenbind_proto::v1::validation_service_client::ValidationServiceClient;
use tokenbind_proto::v1::{Reason, StreamValidateRequest, StreamValidateResponse, WatchTokenRequest};
use tokenbind_runtime::config::ServerConfig;
use tokenbind_runtime::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use super::fixture::{Fixture, RESOURCE, Spec, resource};
use super::grpc::{Service, ask, secret, with_credentials};
use crate::run::ValidatorServer;
use crate::transport::grpc::{Answers, MAX_OPEN};
use crate::{OpenLimits, ValidatorSetup};

const DEADLINE: Duration = Duration::from_secs(30);

/// A validator on a port, and its client.
struct Served {
    service: Service,
    client: ValidationServiceClient<Channel>,
    shutdown: Shutdown,
}

impl Served {
    async fn new() -> Self {
        Self::configured(|_| {}).await
    }

    async fn configured(configure: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::limited(OpenLimits::default(), configure).await
    }

    async fn limited(limits: OpenLimits, configure: impl FnOnce(&mut ServerConfig)) -> Self {
        let service = Service::keeping(limits).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let setup = ValidatorSetup {
            facts: service.fixture.inputs.clone(),
            namespace: Namespace::default(),
            unauthenticated_callers_as: None,
            identity: None,
        };
        let mut config = ServerConfig::new(address);
        configure(&mut config);
        let shutdown = Shutdown::manual();
        let server = ValidatorServer::limited(listener, setup, limits, config, shutdown.clone()).await;
        tokio::spawn(server.serve());
        let client = ValidationServiceClient::connect(format!("http://{address}")).await;
        Self {
            client: client.unwrap(),
            service,
            shutdown,
        }
    }

    fn fixture(&self) -> &Fixture {
        &self.service.fixture
    }

    /// Answers to questions that the test sends one by one.
    async fn open(&self) -> (mpsc::Sender<StreamValidateRequest>, Streaming<StreamValidateResponse>) {
        let (questions, receiver) = mpsc::channel(1);
        let questions_of = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|question| (question, receiver))
        });
        let request = with_credentials(self.service.basic(), questions_of);
        let answers = self.client.clone().stream_validate(request).await.unwrap();
        (questions, answers.into_inner())
    }
}

fn numbered(correlation_id: u64, token: &str) -> StreamValidateRequest {
    StreamValidateRequest {
        correlation_id,
        request: Some(ask(token)),
    }
}

fn reason(answer: &StreamValidateResponse) -> Reason {
    match answer.answer.as_ref().unwrap() {
        Answer::Response(response) => response.reason(),
        Answer::Error(error) => panic!("{error:?}"),
    }
}

async fn next(answers: &mut Streaming<StreamValidateResponse>) -> StreamValidateResponse {
    let next = timeout(DEADLINE, answers.message()).await.expect("an answer");
    next.unwrap().expect("not the end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_questions_are_answered_by_their_numbers() {
    const QUESTIONS: u64 = 10_000;
    let served = Served::new().await;
    let mut tokens = vec![(String::from("x"), Reason::TokenMalformed)];
    for number in 0..20 {
        let spec = Spec {
            scopes: vec![format!("scope-{number}")],
            ..Spec::default()
        };
        tokens.push((served.fixture().jwt(&spec).await, Reason::Valid));
        tokens.push((served.fixture().opaque(&spec).await, Reason::Valid));
    }
    let of = |number: u64| tokens[usize::try_from(number).unwrap() % tokens.len()].clone();
    let questions: Vec<_> = (0..QUESTIONS).map(|number| numbered(number, &of(number).0)).collect();
    let request = with_credentials(served.service.basic(), stream::iter(questions));
    let mut answers = served
        .client
        .clone()
        .stream_validate(request)
        .await
        .unwrap()
        .into_inner();
    let mut seen = HashMap::new();
    while let Some(answer) = timeout(DEADLINE, answers.message()).await.expect("in time").unwrap() {
        assert_eq!(reason(&answer), of(answer.correlation_id).1);
        *seen.entry(answer.correlation_id).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), usize::try_from(QUESTIONS).unwrap());
    assert!(seen.values().all(|times| *times == 1));
}

#[tokio::test]
async fn what_is_wrong_with_one_question_is_told_in_its_answer() {
    let served = Served::new().await;
    let token = served.fixture().jwt(&Spec::default()).await;
    let (questions, mut answers) = served.open().await;
    let mut errors = Vec::new();
    let mut elsewhere = numbered(3, &token);
    elsewhere.request.as_mut().unwrap().resource = "billing".to_owned();
    let nothing = StreamValidateRequest {
        correlation_id: 4,
        request: None,
    };
    for question in [numbered(1, &"x".repeat(8_193)), elsewhere, nothing, numbered(7, &token)] {
        let number = question.correlation_id;
        questions.send(question).await.unwrap();
        let answer = next(&mut answers).await;
        assert_eq!(answer.correlation_id, number);
        if let Answer::Error(error) = answer.answer.unwrap() {
            assert!(!error.message.is_empty());
            let kinds = error
                .details
                .iter()
                .map(|detail| detail.type_url.rsplit('.').next().unwrap());
            errors.push((number, Code::from_i32(error.code), kinds.collect::<Vec<_>>().join(" ")));
        } else {
            assert_eq!(number, 7);
        }
    }
    let expected = [
        (1, Code::InvalidArgument, "ErrorInfo BadRequest"),
        (3, Code::PermissionDenied, "ErrorInfo"),
        (4, Code::InvalidArgument, "ErrorInfo BadRequest"),
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for ((number, code, kinds), (_, _, found)) in expected.iter().zip(&errors) {
        assert!(
            errors.iter().any(|error| (error.0, error.1) == (*number, *code)),
            "{errors:?}"
        );
        for kind in kinds.split(' ') {
            assert!(found.contains(kind), "{errors:?}");
        }
    }
    drop(questions);
    assert!(answers.message().await.unwrap().is_none(), "it ends with OK");
}

#[tokio::test]
async fn without_the_index_a_question_is_unavailable_and_the_stream_goes_on_v10() {
    let served = Served::new().await;
    let token = served.fixture().opaque(&Spec::default()).await;
    let (questions, mut answers) = served.open().await;
    let store = &served.fixture().store;
    store.silence(true);
    store.switch(false);
    questions.send(numbered(1, &token)).await.unwrap();
    match next(&mut answers).await.answer.unwrap() {
        Answer::Error(error) => {
            assert_eq!(Code::from_i32(error.code), Code::Unavailable);
            assert!(!error.message.contains("password"));
        }
        Answer::Response(response) => panic!("{response:?}"),
    }
    store.silence(false);
    store.switch(true);
    questions.send(numbered(2, &token)).await.unwrap();
    assert_eq!(reason(&next(&mut answers).await), Reason::Valid);
}

#[tokio::test]
async fn a_stream_ends_with_its_callers_credentials() {
    let served = Served::new().await;
    let token = served.fixture().jwt(&Spec::default()).await;
    let (questions, mut answers) = served.open().await;
    questions.send(numbered(1, &token)).await.unwrap();
    assert_eq!(reason(&next(&mut answers).await), Reason::Valid);
    served
        .fixture()
        .put_resource(resource(), vec![secret("another", 0)])
        .await;
    questions.send(numbered(2, &token)).await.unwrap();
    let ended = timeout(DEADLINE, answers.message()).await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);

    served.service.put_resource(resource()).await;
    let (questions, mut answers) = served.open().await;
    let delete = served
        .fixture()
        .store
        .delete_document(DocumentKind::Resource, RESOURCE, Expect::Any, 60_000);
    delete.await.unwrap();
    questions.send(numbered(1, &token)).await.unwrap();
    let ended = timeout(DEADLINE, answers.message()).await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
}

/// Exactly as many questions are read as answers have room.
#[tokio::test]
async fn a_reader_that_is_slow_is_waited_for() {
    const QUESTIONS: usize = 1_000;
    let service = Service::keeping(OpenLimits::default()).await;
    let token = service.fixture.jwt(&Spec::default()).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let questions = stream::iter(0..QUESTIONS).map({
        let asked = Arc::clone(&asked);
        move |number| {
            asked.fetch_add(1, Ordering::SeqCst);
            Ok(numbered(u64::try_from(number).unwrap(), &token))
        }
    });
    let request = with_credentials(service.basic(), ());
    let caller = service
        .grpc
        .standing(request.metadata(), request.extensions())
        .await
        .unwrap();
    let grpc = service.grpc.clone();
    let mut answers = Answers::of(MAX_OPEN, |answers| grpc.answer_all(caller, questions, answers));
    let settle = async || {
        let mut seen = usize::MAX;
        // It runs on this thread, so it has done what it can once it no longer moves.
        for _ in 0..1_000 {
            seen = asked.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
        seen
    };
    assert_eq!(settle().await, MAX_OPEN);
    for _ in 0..10 {
        answers.next().await.unwrap().unwrap();
    }
    assert_eq!(settle().await, MAX_OPEN + 10);
    let mut rest = 0;
    while let Some(answer) = answers.next().await {
        answer.unwrap();
        rest += 1;
    }
    assert_eq!(rest, QUESTIONS - 10);
}

/// A server's limit on the time until a call is answered is none on how long it may stay open.
#[tokio::test]
async fn a_watch_outlives_the_request_timeout_and_ends_with_its_token() {
    let served = Served::configured(|config| config.request_timeout = Duration::from_millis(50)).await;
    let token = served.fixture().jwt(&Spec::default()).await;
    let request = WatchTokenRequest {
        request: Some(ask(&token)),
    };
    let request = with_credentials(served.service.basic(), request);
    let mut answers = served.client.clone().watch_token(request).await.unwrap().into_inner();
    let first = timeout(DEADLINE, answers.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.response.unwrap().reason(), Reason::Valid);
    let waited = timeout(Duration::from_millis(200), answers.message()).await;
    assert!(waited.is_err(), "{waited:?}");
    let home = Spec::default().subject.home();
    served
        .fixture()
        .store
        .revoke_subject(home, Selection::default())
        .await
        .unwrap();
    let second = timeout(DEADLINE, answers.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(second.response.unwrap().reason(), Reason::TokenNotLive);
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_validator_that_stops_ends_its_streams() {
    let served = Served::configured(|config| config.drain = Duration::ZERO).await;
    let token = served.fixture().jwt(&Spec::default()).await;
    let (questions, mut answers) = served.open().await;
    questions.send(numbered(1, &token)).await.unwrap();
    assert_eq!(reason(&next(&mut answers).await), Reason::Valid);
    served.shutdown.trigger();
    let ended = timeout(DEADLINE, answers.message()).await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
}

/// A caller that is gone makes room for another.
#[tokio::test]
async fn a_watch_ends_with_its_connection() {
    let limits = OpenLimits {
        watches: 1,
        ..OpenLimits::default()
    };
    let served = Served::limited(limits, |_| {}).await;
    let token = served.fixture().jwt(&Spec::default()).await;
    let watch = async || {
        let request = WatchTokenRequest {
            request: Some(ask(&token)),
        };
        let request = with_credentials(served.service.basic(), request);
        served.client.clone().watch_token(request).await
    };
    let first = watch().await.unwrap();
    assert_eq!(watch().await.unwrap_err().code(), Code::ResourceExhausted);
    drop(first);
    let again = async {
        while watch().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, again).await.expect("room again");
}
