//! Requests, held to the limits that the `.proto` names.

use std::fmt::Display;

use tokenbind_index::{BindingId, BindingValue, MAX_TOKEN_BYTES};
use tokenbind_proto::v1::consistency::Requirement;
use tokenbind_proto::v1::{self, ValidateTokenRequest};
use tokenbind_runtime::status::FieldViolation;
use tonic::Status;

use super::place::Place;
use super::status;
use crate::question::{Consistency, Presented, Presenter, Question};
use crate::resource::Resource;
use crate::verdict::is_scope_token;

const MAX_BATCH: usize = 1_000;
const MAX_ID_BYTES: usize = 255;
const MAX_EXPECTED_CLIENTS: usize = 64;
const MAX_SCOPES: usize = 64;
const MAX_SCOPE_BYTES: usize = 128;
/// The details of an error travel in a header: a batch that is wrong all over tells this many places.
const MAX_VIOLATIONS: usize = 32;

/// What a request says, where it is not plain text.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    binding: Option<BindingValue>,
    certificate_sha256: Option<[u8; 32]>,
    consistency: Consistency,
}

impl Checked {
    pub(super) fn consistency(&self) -> Consistency {
        self.consistency
    }

    /// What a question was made from.
    pub(super) fn again(question: Question<'_>) -> Self {
        Self {
            binding: question.presenter.binding,
            certificate_sha256: question.presenter.certificate_sha256,
            consistency: question.consistency,
        }
    }

    /// The question of the request that was checked.
    pub(super) fn question<'a>(self, request: &'a ValidateTokenRequest, resource: &'a Resource) -> Question<'a> {
        let client_id = request.presenter.as_ref().map(|presenter| presenter.client_id.as_str());
        Question {
            token: Presented(&request.token),
            resource,
            presenter: Presenter {
                client_id: client_id.filter(|client_id| !client_id.is_empty()),
                binding: self.binding,
                certificate_sha256: self.certificate_sha256,
            },
            expected_client_ids: &request.expected_client_ids,
            required_scopes: &request.required_scopes,
            consistency: self.consistency,
        }
    }
}

pub(super) fn check_one(request: &ValidateTokenRequest) -> Result<Checked, Status> {
    let mut violations = Violations::default();
    let checked = violations.check(request);
    violations.finish(checked)
}

/// The question in the field `request`, which must be there.
pub(super) fn check_field(request: Option<&ValidateTokenRequest>) -> Result<(&ValidateTokenRequest, Checked), Status> {
    let Some(request) = request else {
        let missing = FieldViolation::new("request", "is required");
        return Err(status::fields(vec![missing]));
    };
    let mut violations = Violations {
        place: Place::Field,
        ..Violations::default()
    };
    let checked = violations.check(request);
    violations.finish((request, checked))
}

pub(super) fn check_batch(requests: &[ValidateTokenRequest]) -> Result<Vec<Checked>, Status> {
    let mut violations = Violations::default();
    if requests.is_empty() || requests.len() > MAX_BATCH {
        violations.push("requests", format_args!("must be 1 to {MAX_BATCH}"));
        return violations.finish(Vec::new());
    }
    let checked = requests.iter().enumerate().map(|(index, request)| {
        violations.place = Place::Element(index);
        violations.check(request)
    });
    let checked = checked.collect();
    violations.finish(checked)
}

/// Everything that is wrong with a request, or with the elements of a batch.
#[derive(Default)]
struct Violations {
    place: Place,
    found: Vec<FieldViolation>,
}

impl Violations {
    fn push(&mut self, field: impl Display, description: impl Display) {
        if self.found.len() < MAX_VIOLATIONS {
            self.found
                .push(FieldViolation::new(self.place.path(field), description.to_string()));
        }
    }

    fn finish<T>(self, checked: T) -> Result<T, Status> {
        if self.found.is_empty() {
            Ok(checked)
        } else {
            Err(status::fields(self.found))
        }
    }

    fn check(&mut self, request: &ValidateTokenRequest) -> Checked {
        if request.token.len() > MAX_TOKEN_BYTES {
            self.push("token", format_args!("must be at most {MAX_TOKEN_BYTES} bytes"));
        }
        if request.resource.len() > MAX_ID_BYTES {
            self.push("resource", format_args!("must be at most {MAX_ID_BYTES} bytes"));
        }
        self.check_expected_clients(&request.expected_client_ids);
        self.check_scopes(&request.required_scopes);
        let (binding, certificate_sha256) = match &request.presenter {
            Some(presenter) => self.check_presenter(presenter),
            None => (None, None),
        };
        Checked {
            binding,
            certificate_sha256,
            consistency: self.check_consistency(request.consistency.as_ref()),
        }
    }

    fn check_expected_clients(&mut self, client_ids: &[String]) {
        if client_ids.len() > MAX_EXPECTED_CLIENTS {
            self.push(
                "expected_client_ids",
                format_args!("must be at most {MAX_EXPECTED_CLIENTS}"),
            );
            return;
        }
        for (index, client_id) in client_ids.iter().enumerate() {
            if client_id.is_empty() || client_id.len() > MAX_ID_BYTES {
                let path = format_args!("expected_client_ids[{index}]");
                self.push(path, format_args!("must be 1 to {MAX_ID_BYTES} bytes"));
            }
        }
    }

    fn check_scopes(&mut self, scopes: &[String]) {
        if scopes.len() > MAX_SCOPES {
            self.push("required_scopes", format_args!("must be at most {MAX_SCOPES}"));
            return;
        }
        for (index, scope) in scopes.iter().enumerate() {
            if scope.len() > MAX_SCOPE_BYTES || !is_scope_token(scope) {
                let path = format_args!("required_scopes[{index}]");
                let wanted = "characters of a scope-token (RFC 6749, section 3.3)";
                self.push(path, format_args!("must be 1 to {MAX_SCOPE_BYTES} {wanted}"));
            }
        }
    }

    fn check_presenter(&mut self, presenter: &v1::Presenter) -> (Option<BindingValue>, Option<[u8; 32]>) {
        if presenter.client_id.len() > MAX_ID_BYTES {
            self.push(
                "presenter.client_id",
                format_args!("must be at most {MAX_ID_BYTES} bytes"),
            );
        }
        let binding = BindingId::parse(&presenter.token_binding_id).unwrap_or_else(|problem| {
            self.push("presenter.token_binding_id", problem);
            None
        });
        let sha256 = presenter.certificate_sha256.as_slice();
        let certificate = sha256.try_into().ok();
        if certificate.is_none() && !sha256.is_empty() {
            self.push("presenter.certificate_sha256", "must be 32 bytes, or empty");
        }
        (binding.map(BindingValue::ClientRequest), certificate)
    }

    /// A level that is named must be meant: `false` would ask for nothing.
    fn check_consistency(&mut self, consistency: Option<&v1::Consistency>) -> Consistency {
        match consistency.and_then(|consistency| consistency.requirement) {
            None | Some(Requirement::MinimizeLatency(true)) => Consistency::MinimizeLatency,
            Some(Requirement::FullyConsistent(true)) => Consistency::FullyConsistent,
            Some(Requirement::AtLeastAsFresh(revision)) if revision > 0 => Consistency::AtLeastAsFresh(revision),
            Some(Requirement::AtLeastAsFresh(_)) => {
                self.push(
                    "consistency.at_least_as_fresh",
                    "must be a revision that was answered, so not 0",
                );
                Consistency::FullyConsistent
            }
            Some(Requirement::MinimizeLatency(false)) => {
                self.push("consistency.minimize_latency", "must be true, or not set");
                Consistency::FullyConsistent
            }
            Some(Requirement::FullyConsistent(false)) => {
                self.push("consistency.fully_consistent", "must be true, or not set");
                Consistency::FullyConsistent
            }
        }
    }
}
