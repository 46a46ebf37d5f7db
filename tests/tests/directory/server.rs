//! A company's directory, as far as the issuer sees it.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokenbind_proto::v1::authenticate_response::{Outcome, Refused};
use tokenbind_proto::v1::user_directory_service_server::{UserDirectoryService, UserDirectoryServiceServer};
use tokenbind_proto::v1::{AuthenticateRequest, AuthenticateResponse, DirectoryUser};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, async_trait};

/// The password of everybody who is there.
pub(crate) const PASSWORD: &str = "correct horse";

/// What it does with a question.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// Looks, and answers.
    Well,
    /// Never answers.
    Silent,
    /// Answers this error.
    Fails(Status),
    /// Answers this, whatever was asked.
    Says(AuthenticateResponse),
}

#[derive(Clone)]
struct Rpc {
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<AuthenticateRequest>>>,
}

#[async_trait]
impl UserDirectoryService for Rpc {
    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let asked = request.into_inner();
        *self.last.lock().unwrap() = Some(asked.clone());
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Well => Ok(Response::new(judge(&asked))),
            Mood::Silent => std::future::pending().await,
            Mood::Fails(status) => Err(status),
            Mood::Says(answer) => Ok(Response::new(answer)),
        }
    }
}

/// Alice, however she writes her name.
fn judge(asked: &AuthenticateRequest) -> AuthenticateResponse {
    let alice = asked.username.eq_ignore_ascii_case("alice") && asked.password == PASSWORD;
    let user = DirectoryUser {
        username: "alice".to_owned(),
        attributes: [("mail".to_owned(), "alice@example.com".to_owned())].into(),
        scopes: vec!["orders.read".to_owned()],
    };
    answer(if alice {
        Outcome::User(user)
    } else {
        Outcome::Refused(Refused {})
    })
}

pub(crate) fn answer(outcome: Outcome) -> AuthenticateResponse {
    AuthenticateResponse { outcome: Some(outcome) }
}

/// A running directory, on a port of its own.
pub(crate) struct DirectoryServer {
    pub(crate) address: SocketAddr,
    rpc: Rpc,
    /// Its own, so that its connections end with it.
    serving: Option<Runtime>,
    tls: Option<ServerTlsConfig>,
}

impl DirectoryServer {
    pub(crate) fn start(tls: Option<ServerTlsConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Self {
            address: listener.local_addr().unwrap(),
            rpc: Rpc {
                mood: Arc::new(Mutex::new(Mood::Well)),
                asked: Arc::default(),
                last: Arc::default(),
            },
            serving: None,
            tls,
        };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let service = UserDirectoryServiceServer::new(self.rpc.clone());
        let mut server = Server::builder();
        if let Some(tls) = &self.tls {
            server = server.tls_config(tls.clone()).unwrap();
        }
        let router = server.add_service(service);
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            router
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        self.serving = Some(runtime);
    }

    /// Ends it, and every connection to it.
    pub(crate) async fn stop(&mut self) {
        let runtime = self.serving.take();
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
    }

    /// Serves again, where it did before.
    pub(crate) fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.serve(listener);
    }

    pub(crate) fn becomes(&self, mood: Mood) {
        *self.rpc.mood.lock().unwrap() = mood;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.rpc.asked.load(Ordering::SeqCst)
    }

    /// What it was asked last.
    pub(crate) fn last(&self) -> AuthenticateRequest {
        self.rpc.last.lock().unwrap().clone().expect("a question")
    }
}

impl Drop for DirectoryServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.serving.take() {
            runtime.shutdown_background();
        }
    }
}
