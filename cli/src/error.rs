//! What can go wrong, what a person is told of it, and the exit code.

use std::process::ExitCode;

use serde_json::{Value, json};
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How the process ends. `after_help` documents the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Fine = 0,
    /// The answer is no.
    No = 1,
    /// The command line, or what it sent, is wrong.
    Usage = 2,
    /// Not authenticated, or not permitted.
    NotPermitted = 3,
    /// Nobody answered in time.
    Unavailable = 4,
    /// A bug, here or there.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// The command line is wrong in a way that clap cannot see.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// The application may not administer.
    #[error("insufficient_scope: the application {client_id} may not have the scope tokenbind.admin")]
    NotAdministrator {
        /// Who asked.
        client_id: String,
    },
    /// No connection.
    #[error("cannot connect to the {service} at {url}: {cause}")]
    Unreachable {
        /// `issuer` or `validator`.
        service: &'static str,
        /// Where.
        url: String,
        /// What the transport said.
        cause: String,
    },
    /// Something that this process needs is away.
    #[error("{message}")]
    Unavailable {
        /// What is away.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A server answered an error.
    #[error("{}", describe(.0))]
    Refused(Box<Status>),
    /// Something that only a bug explains, or the machine.
    #[error("{0}")]
    Internal(String),
}

impl CliError {
    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    /// The command line is wrong, and this would be right.
    pub(crate) fn usage_with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// The answer broke the contract.
    pub(crate) fn incomplete(what: &str) -> Self {
        Self::Internal(format!("the server's answer has no {what}"))
    }

    /// The reason that a server gave, or else the gRPC code.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Refused(status) => status
                .get_details_error_info()
                .map_or_else(|| format!("{:?}", status.code()), |info| info.reason),
            Self::Usage { .. } => "usage".to_owned(),
            Self::NotAdministrator { .. } => "insufficient_scope".to_owned(),
            Self::Unreachable { .. } => "unreachable".to_owned(),
            Self::Unavailable { .. } => "unavailable".to_owned(),
            Self::Internal(_) => "internal".to_owned(),
        }
    }

    /// Each wrong field with what is wrong.
    pub(crate) fn violations(&self) -> Vec<(String, String)> {
        let Self::Refused(status) = self else {
            return Vec::new();
        };
        let request = status.get_details_bad_request();
        let violations = request.into_iter().flat_map(|request| request.field_violations);
        violations
            .map(|violation| (violation.field, violation.description))
            .collect()
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::Unavailable { hint, .. } => Some(hint.clone()),
            Self::Unreachable { service, cause, .. } => Some(unreachable_hint(service, cause)),
            Self::Refused(status) => refusal_hint(&self.reason(), status),
            Self::NotAdministrator { .. } => {
                Some("use an administrator's credentials; the development stack has the application `admin`".to_owned())
            }
            Self::Internal(_) => None,
        }
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::Usage,
            Self::NotAdministrator { .. } => Exit::NotPermitted,
            Self::Unreachable { .. } | Self::Unavailable { .. } => Exit::Unavailable,
            Self::Refused(status) => exit_of(status.code()),
            Self::Internal(_) => Exit::Internal,
        }
    }

    /// For scripts.
    pub(crate) fn to_json(&self) -> Value {
        let violations: Vec<_> = self
            .violations()
            .into_iter()
            .map(|(field, description)| json!({"field": field, "description": description}))
            .collect();
        let message = match self {
            Self::Refused(status) => status.message().to_owned(),
            other => other.to_string(),
        };
        json!({"error": {"reason": self.reason(), "message": message, "violations": violations, "hint": self.hint()}})
    }
}

impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

fn unreachable_hint(service: &str, cause: &str) -> String {
    if cause.contains("certificate") {
        return "name the authority that certifies it by `--ca-cert` or TOKENBIND_CA_CERT, and the host as in its certificate"
            .to_owned();
    }
    if cause.contains("corrupt message") {
        return format!("what answers there does not speak TLS: write http:// in `--{service}-url`");
    }
    format!(
        "is it running? `tokenbind dev` starts one; `--{service}-url` or TOKENBIND_{}_URL says where it is",
        service.to_uppercase()
    )
}

fn describe(status: &Status) -> String {
    let reason = status
        .get_details_error_info()
        .map_or_else(|| status.code().description().to_owned(), |info| info.reason);
    match status.message() {
        "" => reason,
        message if message.starts_with(&reason) => message.to_owned(),
        message => format!("{reason}: {message}"),
    }
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::Ok => Exit::Fine,
        Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Exit::No,
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::Unauthenticated | Code::PermissionDenied => Exit::NotPermitted,
        // A call that this program gave up on ends as cancelled.
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled => Exit::Unavailable,
        Code::Unknown | Code::Internal | Code::Unimplemented | Code::DataLoss => Exit::Internal,
    }
}

fn refusal_hint(reason: &str, status: &Status) -> Option<String> {
    let hint = match reason {
        "invalid_client" => {
            "check the id and the secret: those of an application for the issuer, of a resource for the validator \
             (`--help` lists the ways to give them)"
        }
        "invalid_grant" => "check the username and the password",
        "unauthorized_client" => {
            "use the credentials of the application that the token was issued to, or that has the grant"
        }
        "invalid_scope" => "`tokenbind app get CLIENT_ID` shows the scopes that the application may have",
        "invalid_target" => "`tokenbind app get CLIENT_ID` shows the audiences that the application may have",
        "insufficient_scope" => "this needs an application that may have the scope tokenbind.admin",
        "only_one" => {
            "put a new key into the key directory of every issuer (tokenbind keys generate), under a name that comes behind \
             the others', and repeat"
        }
        "conflict" => "somebody changed it at the same time: look at it again and repeat",
        "binding_limit_reached" => "`tokenbind binding list SUBJECT` shows the bindings; revoke one",
        // What a connection that is closed at once looks like.
        _ if status.code() == Code::Cancelled && status.message().contains("canceled") => {
            "the server closed the connection: write https:// if it speaks TLS"
        }
        _ => match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled => {
                return Some(retry_hint(status));
            }
            Code::Unimplemented => "is the address that of the other service, or of an older version?",
            _ => return None,
        },
    };
    Some(hint.to_owned())
}

fn retry_hint(status: &Status) -> String {
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    delay.map_or_else(
        || "try again, or allow more time with --timeout".to_owned(),
        |delay| format!("try again in {:.1} s", delay.as_secs_f32()),
    )
}

#[cfg(test)]
mod tests {
    use tokenbind_runtime::status::{self, FieldViolation};

    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_reason_its_fields_and_a_hint() {
        let violations = vec![
            FieldViolation::new("scopes[1]", "is not one of the application's"),
            FieldViolation::new("audiences", "must be at most 16"),
        ];
        let error = CliError::from(status::invalid_argument("invalid_scope", violations));
        assert_eq!(
            error.to_string(),
            "invalid_scope: scopes[1]: is not one of the application's; audiences: must be at most 16"
        );
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(error.violations()[0].0, "scopes[1]");
        assert!(error.hint().unwrap().contains("app get"));
        let json = error.to_json();
        assert_eq!(json["error"]["reason"], "invalid_scope");
        assert_eq!(json["error"]["violations"][1]["field"], "audiences");
    }

    #[test]
    fn whoever_speaks_tls_and_whoever_does_not_are_told_apart() {
        for (cause, hint) in [
            ("Connection refused (os error 111)", "is it running?"),
            ("invalid peer certificate: UnknownIssuer", "--ca-cert"),
            (
                "received corrupt message of type InvalidContentType",
                "write http:// in `--issuer-url`",
            ),
        ] {
            let error = CliError::Unreachable {
                service: "issuer",
                url: "https://x".to_owned(),
                cause: cause.to_owned(),
            };
            assert!(error.hint().unwrap().contains(hint), "{cause}");
        }
        let closed = CliError::from(Status::cancelled("operation was canceled"));
        assert!(closed.hint().unwrap().contains("https://"));
        let late = CliError::from(Status::cancelled("Timeout expired"));
        assert!(late.hint().unwrap().contains("--timeout"));
    }

    #[test]
    fn every_code_has_its_exit_code() {
        for (code, exit) in [
            (Code::Unauthenticated, Exit::NotPermitted),
            (Code::PermissionDenied, Exit::NotPermitted),
            (Code::NotFound, Exit::No),
            (Code::AlreadyExists, Exit::No),
            (Code::InvalidArgument, Exit::Usage),
            (Code::Unavailable, Exit::Unavailable),
            (Code::DeadlineExceeded, Exit::Unavailable),
            (Code::Internal, Exit::Internal),
        ] {
            assert_eq!(CliError::from(Status::new(code, "no")).exit(), exit, "{code:?}");
        }
    }

    #[test]
    fn a_server_says_when_to_try_again() {
        let after = std::time::Duration::from_millis(1500);
        let status = status::retry_after(Code::Unavailable, "temporarily_unavailable", "the index is away", after);
        let error = CliError::from(status);
        assert_eq!(error.to_string(), "temporarily_unavailable: the index is away");
        assert_eq!(error.hint().unwrap(), "try again in 1.5 s");
        assert_eq!(error.exit(), Exit::Unavailable);
    }
}
