//! Calls as clients make them, each written down.

use std::error::Error as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokenbind_proto::v1::{
    Consistency, Decision, IssueTokenRequest, IssueTokenResponse, RevokeApplicationRequest, RevokeBindingRequest,
    RevokeSubjectRequest, RevokeTokenRequest, ValidateTokenRequest, ValidateTokenResponse, WatchTokenRequest,
    consistency,
};
use tokenbind_tests::history::{Answer, Call, Recorder, Slot};
use tokenbind_tests::{
    ADMIN_SECRET, App, Ask as _, Client, Resource, client_credentials, jwt_bearer, password, refresh,
    with_authorization,
};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::rig::{APPLICATIONS, Directory, PASSWORD, RESOURCE, USERS};

/// How long a client waits: longer than the services do for the store, so that they say what became of the call.
const PATIENCE: Duration = Duration::from_secs(12);
/// How often a client tries elsewhere what was not taken.
const ATTEMPTS: usize = 6;

/// A token in somebody's hands.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) slot: Slot,
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    /// The validators that have allowed it, one bit each: they may keep what they know of it.
    pub(crate) allowed_by: u32,
}

/// Makes calls.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) directory: Arc<Directory>,
    pub(crate) recorder: Arc<Recorder>,
}

impl Caller {
    /// A token for a slot: of a user, or of the application itself.
    pub(crate) async fn issue(&self, slot: Slot, issuer: usize) -> Option<Held> {
        let request = if slot.subject < USERS {
            password(&format!("user-{}", slot.subject), PASSWORD)
        } else {
            client_credentials()
        };
        self.obtain(Call::Issue { slot }, slot, request.bound_to(&device(slot)), issuer)
            .await
    }

    pub(crate) async fn refresh(&self, held: &Held, issuer: usize) -> Option<Held> {
        let text = held.refresh.as_ref()?;
        let call = Call::Refresh {
            slot: held.slot,
            refresh: self.recorder.refresh_token(text),
        };
        self.obtain(call, held.slot, refresh(text), issuer).await
    }

    /// A token for an assertion.
    pub(crate) async fn assert(&self, number: usize, assertion: &str, issuer: usize) {
        let nowhere = Slot {
            application: number % APPLICATIONS.len(),
            subject: 0,
            device: 0,
        };
        let call = Call::Assert { assertion: number };
        self.obtain(call, nowhere, jwt_bearer(assertion), issuer).await;
    }

    async fn obtain(&self, call: Call, slot: Slot, request: IssueTokenRequest, issuer: usize) -> Option<Held> {
        let open = self.recorder.begin(call);
        let app = app(slot.application);
        let (_, answer) = ask(&self.directory.issuers, issuer, async |issuer| {
            client(issuer).issue(&app, request.clone()).await
        })
        .await;
        let held = answer.as_ref().ok().map(|token| held(slot, token));
        let answer = answer.map(|token| self.issued(&token));
        self.recorder
            .end(open, answer.unwrap_or_else(|status| refused(&status)));
        held
    }

    fn issued(&self, token: &IssueTokenResponse) -> Answer {
        let refresh = &token.refresh_token;
        Answer::Issued {
            token: self.recorder.token(&token.access_token),
            refresh: (!refresh.is_empty()).then(|| self.recorder.refresh_token(refresh)),
            expires_in: token.expires_in,
        }
    }

    /// R1, an access token.
    pub(crate) async fn revoke_token(&self, held: &Held, issuer: usize) -> bool {
        let call = Call::RevokeToken {
            token: self.recorder.token(&held.access),
        };
        self.revoke_text(call, held.slot.application, &held.access, issuer)
            .await
    }

    /// R1, a refresh token.
    pub(crate) async fn revoke_login(&self, held: &Held, issuer: usize) -> bool {
        let Some(text) = &held.refresh else {
            return false;
        };
        let call = Call::RevokeLogin {
            refresh: self.recorder.refresh_token(text),
        };
        self.revoke_text(call, held.slot.application, text, issuer).await
    }

    async fn revoke_text(&self, call: Call, application: usize, text: &str, issuer: usize) -> bool {
        let app = app(application);
        let request = RevokeTokenRequest {
            token: text.to_owned(),
            client_id: app.id,
            client_secret: app.secret,
            ..Default::default()
        };
        self.revoke(call, issuer, async |issuer| {
            let answer = client(issuer).tokens().revoke_token(request.clone()).await;
            answer.map(drop)
        })
        .await
    }

    /// R2.
    pub(crate) async fn revoke_binding(&self, slot: Slot, issuer: usize) -> bool {
        let message = RevokeBindingRequest {
            subject: subject(slot.subject),
            client_id: String::new(),
            token_binding_id: device(slot),
        };
        let caller = app(slot.application).basic();
        self.revoke(Call::RevokeBinding { slot }, issuer, async |issuer| {
            let request = with_authorization(message.clone(), &caller);
            client(issuer).bindings().revoke_binding(request).await.map(drop)
        })
        .await
    }

    /// R3.
    pub(crate) async fn revoke_subject(&self, application: usize, who: usize, issuer: usize) -> bool {
        let call = Call::RevokeSubject {
            application,
            subject: who,
        };
        let message = RevokeSubjectRequest {
            subject: subject(who),
            client_id: String::new(),
        };
        let caller = app(application).basic();
        self.revoke(call, issuer, async |issuer| {
            let request = with_authorization(message.clone(), &caller);
            client(issuer).bindings().revoke_subject(request).await.map(drop)
        })
        .await
    }

    /// R4.
    pub(crate) async fn revoke_application(&self, application: usize, issuer: usize) -> bool {
        let message = RevokeApplicationRequest {
            client_id: app(application).id,
        };
        let caller = app(application).basic();
        self.revoke(Call::RevokeApplication { application }, issuer, async |issuer| {
            let request = with_authorization(message.clone(), &caller);
            client(issuer).bindings().revoke_application(request).await.map(drop)
        })
        .await
    }

    async fn revoke(&self, call: Call, issuer: usize, act: impl AsyncFn(Channel) -> Result<(), Status>) -> bool {
        let open = self.recorder.begin(call);
        let (_, answer) = ask(&self.directory.issuers, issuer, act).await;
        let done = answer.is_ok();
        let answer = answer.map_or_else(|status| refused(&status), |()| Answer::Revoked);
        self.recorder.end(open, answer);
        done
    }

    /// The verdict on a token; `None` if there was none.
    pub(crate) async fn validate(&self, token: &str, validator: usize, as_of_now: bool) -> Option<bool> {
        let question = ValidateTokenRequest {
            token: token.to_owned(),
            consistency: as_of_now.then_some(Consistency {
                requirement: Some(consistency::Requirement::FullyConsistent(true)),
            }),
            ..Default::default()
        };
        let number = self.recorder.token(token);
        let open = |validator| Call::Validate {
            token: number,
            validator,
            as_of_now,
        };
        let begun = self.recorder.begin(open(validator));
        let (by, answer) = ask(&self.directory.validators, validator, async |validator| {
            client(validator).judge(&resource(), question.clone()).await
        })
        .await;
        let answer = answer.map_or_else(|status| refused(&status), |verdict| judged(&verdict));
        let verdict = match answer {
            Answer::Allowed => Some(true),
            Answer::Denied { .. } => Some(false),
            _ => None,
        };
        self.recorder.end(begun.becomes(open(by)), answer);
        verdict
    }

    /// Asks as of now, and after a refusal for what is kept, which is no answer any more.
    pub(crate) async fn ask_again(&self, token: &str, validator: usize) {
        if self.validate(token, validator, true).await == Some(false) {
            self.validate(token, validator, false).await;
        }
    }

    /// Watches a token until the validator says that it is no longer good, or `stopped`.
    pub(crate) async fn watch(&self, token: &str, validator: usize, stopped: impl Future<Output = ()>) {
        let question = ValidateTokenRequest {
            token: token.to_owned(),
            ..Default::default()
        };
        let request = WatchTokenRequest {
            request: Some(question),
        };
        let token = self.recorder.token(token);
        let begun = self.recorder.begin(Call::Validate {
            token,
            validator,
            as_of_now: false,
        });
        let channel = read(&self.directory.validators[validator]);
        let request = with_authorization(request, &resource().basic());
        let Ok(answers) = client(channel).validation().watch_token(request).await else {
            return;
        };
        let mut answers = answers.into_inner();
        let Ok(Some(first)) = answers.message().await else {
            return;
        };
        let first = judged(&first.response.unwrap_or_default());
        let goes_on = first == Answer::Allowed;
        self.recorder.end(begun, first);
        if !goes_on {
            return;
        }
        let open = self.recorder.begin(Call::Watch { token, validator });
        let answer = tokio::select! {
            () = stopped => Answer::Allowed,
            told = answers.message() => match told {
                Ok(Some(last)) => judged(&last.response.unwrap_or_default()),
                Ok(None) => failed("the end of the stream"),
                Err(status) => refused(&status),
            },
        };
        self.recorder.end(open, answer);
    }
}

fn held(slot: Slot, token: &IssueTokenResponse) -> Held {
    Held {
        slot,
        access: token.access_token.clone(),
        refresh: (!token.refresh_token.is_empty()).then(|| token.refresh_token.clone()),
        allowed_by: 0,
    }
}

fn judged(verdict: &ValidateTokenResponse) -> Answer {
    match verdict.decision() {
        Decision::Allow => Answer::Allowed,
        _ => Answer::Denied {
            reason: verdict.reason().as_str_name().to_owned(),
        },
    }
}

fn app(number: usize) -> App {
    App {
        id: APPLICATIONS[number].to_owned(),
        secret: ADMIN_SECRET.to_owned(),
    }
}

fn resource() -> Resource {
    Resource {
        id: RESOURCE.to_owned(),
        secret: ADMIN_SECRET.to_owned(),
    }
}

fn subject(number: usize) -> String {
    if number < USERS {
        format!("user:user-{number}")
    } else {
        APPLICATIONS[number - USERS].to_owned()
    }
}

fn device(slot: Slot) -> String {
    format!("device-{}", slot.device)
}

/// A client of a service, whichever of the two it is.
fn client(channel: Channel) -> Client {
    Client {
        issuer: channel.clone(),
        validator: channel,
    }
}

fn read(channel: &RwLock<Channel>) -> Channel {
    channel.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Asks one of several, and another one where that has not taken the call. Answers who answered.
async fn ask<T>(
    replicas: &[RwLock<Channel>],
    first: usize,
    call: impl AsyncFn(Channel) -> Result<T, Status>,
) -> (usize, Result<T, Status>) {
    let mut attempt = 0;
    loop {
        let number = (first + attempt) % replicas.len();
        let answer = tokio::time::timeout(PATIENCE, call(read(&replicas[number]))).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("the client waits no longer")));
        attempt += 1;
        match answer {
            Err(status) if attempt < ATTEMPTS && was_not_taken(&status) => {}
            answer => return (number, answer),
        }
    }
}

/// Whether the server says, or its connection, that it has not begun with the call (RFC 9113, sections 6.8 and 8.7), or there
/// was none: then a client of gRPC tries again by itself.
fn was_not_taken(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        // hyper's words for a request that it has not sent, on a connection that is closing.
        let closing = |cause: &dyn std::error::Error| cause.to_string() == "connection closed";
        if error.to_string() == "operation was canceled" && error.source().is_some_and(closing) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn failed(why: &str) -> Answer {
    Answer::Failed { why: why.to_owned() }
}

/// What an error says of what was asked.
fn refused(status: &Status) -> Answer {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let unknown = matches!(
        status.code(),
        Code::Unavailable | Code::Internal | Code::Unknown | Code::DeadlineExceeded | Code::Cancelled
    );
    match reason {
        Some(reason) if !unknown => Answer::Refused { reason },
        _ => {
            let mut why = format!("{:?}: {}", status.code(), status.message());
            let mut cause = status.source();
            while let Some(error) = cause {
                why = format!("{why}: {error}");
                cause = error.source();
            }
            Answer::Failed { why }
        }
    }
}
