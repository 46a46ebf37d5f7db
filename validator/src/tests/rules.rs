//! V3 to V9 as policy judges them, and that nothing passes with a single condition broken.

use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use tokenbind_index::{BindingValue, Locator, Namespace, Subject};
use tokenbind_proto::v1::{self, BindingType, Decision, Reason, TokenFormat};

use super::fixture::{AUDIENCE, RESOURCE, SHOP, binding, resource, texts};
use crate::facts::{ApplicationFacts, Facts, Grant, TokenBinding, TokenFacts};
use crate::policy;
use crate::verdict::Freshness;
use crate::{Consistency, Presented, Presenter, Question, Resource};

const CERTIFICATE: [u8; 32] = [7; 32];

/// A request that is fine in every way, to be spoilt in one.
#[derive(Clone, Debug)]
struct Case {
    token: TokenFacts,
    application: ApplicationFacts,
    resource: v1::Resource,
    presenter: Presenter<'static>,
    expected_client_ids: Vec<String>,
    required_scopes: Vec<String>,
}

impl Case {
    fn bound_by(token_binding: TokenBinding) -> Self {
        Self {
            token: TokenFacts {
                grant: Arc::new(Grant {
                    format: TokenFormat::Jwt,
                    client_id: SHOP.to_owned(),
                    scopes: texts(&["a", "b"]),
                    audiences: texts(&["https://other.example", AUDIENCE]),
                    issuer: None,
                    written: OnceLock::new(),
                }),
                subject: Subject::User("ada".to_owned()),
                binding: token_binding,
                locator: Locator::from_bytes(&[0; 48]).unwrap(),
                issued_at_us: 0,
                not_before_us: 0,
                expires_at_us: 1,
                record_ends_at_us: 1,
                revision: 1,
                generation: 1,
                claims: None,
                act: None,
            },
            application: ApplicationFacts {
                generation: 1,
                disabled: false,
                enforce_binding: false,
            },
            resource: resource(),
            presenter: Presenter {
                client_id: Some(SHOP),
                ..Presenter::default()
            },
            expected_client_ids: vec![],
            required_scopes: vec![],
        }
    }

    fn grant(&mut self) -> &mut Grant {
        Arc::make_mut(&mut self.token.grant)
    }

    fn unbound() -> Self {
        Self::bound_by(TokenBinding::None)
    }

    fn bound_to(id: &str) -> Self {
        let value = binding(id);
        let reference = value.reference(&Namespace::default(), SHOP);
        let mut case = Self::bound_by(TokenBinding::ClientRequest(reference));
        case.presenter.binding = Some(value);
        case
    }

    fn certified() -> Self {
        let reference = BindingValue::Certificate(CERTIFICATE).reference(&Namespace::default(), SHOP);
        let mut case = Self::bound_by(TokenBinding::Certificate {
            reference,
            sha256: CERTIFICATE,
        });
        case.presenter.certificate_sha256 = Some(CERTIFICATE);
        case
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn reason(&self) -> Reason {
        let facts = Facts {
            token: Arc::new(self.token.clone().into()),
            application: Some(self.application),
            key: None,
            freshness: Freshness::of_token(0),
        };
        let resource = Resource::from(self.resource.clone());
        let question = Question {
            token: Presented(""),
            resource: &resource,
            presenter: self.presenter.clone(),
            expected_client_ids: &self.expected_client_ids,
            required_scopes: &self.required_scopes,
            consistency: Consistency::default(),
        };
        policy::judge(&facts, &question, &Namespace::default())
    }
}

fn check(rule: &str, cases: Vec<(Case, Reason)>) {
    for (number, (case, expected)) in cases.into_iter().enumerate() {
        assert_eq!(case.reason(), expected, "{rule}, case {number}");
    }
}

#[test]
fn v3_only_the_application_it_was_issued_to() {
    let cases = vec![
        (
            Case::unbound().with(|case| case.presenter.client_id = None),
            Reason::Valid,
        ),
        (
            Case::unbound().with(|case| case.presenter.client_id = Some("other")),
            Reason::ClientMismatch,
        ),
        (
            Case::unbound().with(|case| case.presenter.client_id = Some("Shop")),
            Reason::ClientMismatch,
        ),
        (
            Case::unbound().with(|case| case.expected_client_ids = texts(&["other", SHOP])),
            Reason::Valid,
        ),
        (
            Case::unbound().with(|case| case.expected_client_ids = texts(&["other"])),
            Reason::ClientMismatch,
        ),
        (
            Case::unbound().with(|case| case.resource.accepted_client_ids = texts(&["x"])),
            Reason::ClientNotAccepted,
        ),
        (
            Case::unbound().with(|case| case.resource.accepted_client_ids = vec![]),
            Reason::ClientNotAccepted,
        ),
    ];
    check("V3", cases);
}

#[test]
fn v4_a_token_must_name_its_application() {
    let nameless = Case::unbound().with(|case| case.grant().client_id = String::new());
    let accepted = nameless.clone().with(|case| {
        case.resource.accepted_client_ids = texts(&[""]);
        case.presenter.client_id = Some("");
    });
    let elsewhere = nameless.clone().with(|case| case.grant().audiences = vec![]);
    check(
        "V4",
        vec![
            (nameless, Reason::ClientMissing),
            (accepted, Reason::ClientMissing),
            (elsewhere, Reason::AudienceMismatch),
        ],
    );
}

#[test]
fn v5_only_the_audience_it_was_issued_for() {
    let audiences = |audiences: &[&str]| {
        let audiences = texts(audiences);
        Case::unbound().with(|case| case.grant().audiences = audiences)
    };
    // A resource without audiences is its own; one with some is not.
    let by_name = |case: Case| case.with(|case| case.resource.audiences = vec![]);
    let cases = vec![
        (Case::unbound(), Reason::Valid),
        (audiences(&["https://other.example"]), Reason::AudienceMismatch),
        (audiences(&[]), Reason::AudienceMismatch),
        (audiences(&["https://orders.example/"]), Reason::AudienceMismatch),
        (audiences(&[RESOURCE]), Reason::AudienceMismatch),
        (by_name(audiences(&[RESOURCE])), Reason::Valid),
        (by_name(audiences(&[AUDIENCE])), Reason::AudienceMismatch),
    ];
    check("V5", cases);
}

#[test]
fn v6_every_required_scope_and_one_of_the_accepted() {
    let required = |scopes: &[&str]| {
        let scopes = texts(scopes);
        Case::unbound().with(|case| case.required_scopes = scopes)
    };
    let accepted = |case: Case, scopes: &[&str]| {
        let scopes = texts(scopes);
        case.with(|case| case.resource.accepted_scopes = scopes)
    };
    let cases = vec![
        (required(&["b", "a"]), Reason::Valid),
        (required(&["a", "c"]), Reason::ScopeInsufficient),
        (required(&["A"]), Reason::ScopeInsufficient),
        (required(&["a b"]), Reason::ScopeInsufficient),
        (accepted(required(&[]), &["c", "b"]), Reason::Valid),
        (accepted(required(&[]), &["c"]), Reason::ScopeInsufficient),
        (accepted(required(&["a"]), &["c"]), Reason::ScopeInsufficient),
    ];
    check("V6", cases);
}

#[test]
fn v7_only_under_the_id_it_is_bound_to() {
    let absent = || Case::bound_to("phone").with(|case| case.presenter.binding = None);
    let with_id = |id: &str| {
        let id = binding(id);
        Case::bound_to("phone").with(|case| case.presenter.binding = Some(id))
    };
    let cases = vec![
        (Case::bound_to("phone"), Reason::Valid),
        (with_id("tablet"), Reason::BindingMismatch),
        (with_id("Phone"), Reason::BindingMismatch),
        (with_id(" phone"), Reason::BindingMismatch),
        (with_id("phone "), Reason::BindingMismatch),
        (absent(), Reason::Valid),
        (
            absent().with(|case| case.application.enforce_binding = true),
            Reason::BindingMissing,
        ),
        (
            absent().with(|case| case.resource.enforce_binding = true),
            Reason::BindingMissing,
        ),
        (
            Case::unbound().with(|case| case.resource.enforce_binding = true),
            Reason::Valid,
        ),
        (
            Case::unbound().with(|case| case.presenter.binding = Some(binding("phone"))),
            Reason::Valid,
        ),
    ];
    check("V7", cases);
}

#[test]
fn v7_the_digest_of_an_id_is_another_id() {
    let case = Case::bound_to("phone");
    let reference = case.token.binding.reference().unwrap().encode();
    let case = case.with(|case| case.presenter.binding = Some(binding(&reference)));
    assert_eq!(case.reason(), Reason::BindingMismatch);
}

#[test]
fn v8_a_key_must_be_proven() {
    let cases = vec![
        (Case::certified(), Reason::Valid),
        (
            Case::certified().with(|case| case.presenter.certificate_sha256 = None),
            Reason::ProofMissing,
        ),
        (
            Case::certified().with(|case| case.presenter.certificate_sha256 = Some([8; 32])),
            Reason::ProofInvalid,
        ),
        (
            Case::certified().with(|case| case.presenter.client_id = Some("other")),
            Reason::ClientMismatch,
        ),
        (
            Case::bound_by(TokenBinding::Unprovable(BindingType::Dpop)),
            Reason::ProofInvalid,
        ),
        (
            Case::bound_by(TokenBinding::Unprovable(BindingType::Unspecified)),
            Reason::ProofInvalid,
        ),
        (
            Case::unbound().with(|case| case.presenter.certificate_sha256 = Some(CERTIFICATE)),
            Reason::Valid,
        ),
    ];
    check("V8", cases);
}

#[test]
fn v14_a_resource_can_demand_a_stronger_binding() {
    let demand = |case: Case, types: &[BindingType]| {
        let types = types.iter().map(|binding_type| *binding_type as i32).collect();
        case.with(|case| case.resource.accepted_binding_types = types)
    };
    let certificate = &[BindingType::Certificate][..];
    let cases = vec![
        (demand(Case::certified(), certificate), Reason::Valid),
        (
            demand(Case::bound_to("phone"), certificate),
            Reason::BindingTypeNotAccepted,
        ),
        (demand(Case::unbound(), certificate), Reason::BindingTypeNotAccepted),
        (demand(Case::unbound(), &[BindingType::None]), Reason::Valid),
        (
            demand(Case::bound_to("phone"), &[BindingType::Unspecified]),
            Reason::BindingTypeNotAccepted,
        ),
    ];
    check("V14", cases);
    // A type of a later version narrows what is accepted, too.
    let later = Case::bound_to("phone").with(|case| case.resource.accepted_binding_types = vec![99]);
    assert_eq!(later.reason(), Reason::BindingTypeNotAccepted);
}

/// Every way to spoil a request. Each must be enough by itself.
const FAULTS: [fn(&mut Case); 9] = [
    |case| case.grant().audiences = texts(&["https://elsewhere.example"]),
    |case| case.grant().client_id.clear(),
    |case| case.presenter.client_id = Some("thief"),
    |case| case.expected_client_ids = texts(&["somebody else"]),
    |case| case.resource.accepted_client_ids.retain(|client_id| client_id != SHOP),
    |case| case.token.binding = TokenBinding::Unprovable(BindingType::Dpop),
    |case| case.resource.accepted_binding_types = vec![99],
    |case| case.required_scopes.push("never-granted".to_owned()),
    |case| case.resource.accepted_scopes = texts(&["never-granted"]),
];

fn any_case() -> impl Strategy<Value = Case> {
    let lists = (
        proptest::sample::subsequence(vec!["a", "b"], 0..=2),
        proptest::collection::vec("[a-z]{1,8}", 0..4),
        any::<bool>(),
        any::<bool>(),
    );
    (0..3_usize, ".{1,40}", lists).prop_map(|(kind, id, (required, clients, enforce, known))| {
        let case = match kind {
            0 => Case::unbound(),
            1 if !id.trim().is_empty() => Case::bound_to(&id),
            _ => Case::certified(),
        };
        case.with(|case| {
            case.required_scopes = texts(&required);
            case.resource.accepted_client_ids.extend(clients.iter().cloned());
            case.resource.enforce_binding = enforce;
            case.application.enforce_binding = enforce;
            if !known {
                case.presenter.client_id = None;
            }
        })
    })
}

proptest! {
    #[test]
    fn one_broken_condition_is_enough(case in any_case(), fault in 0..FAULTS.len()) {
        prop_assert_eq!(case.reason(), Reason::Valid);
        let spoilt = case.with(|case| FAULTS[fault](case));
        prop_assert_ne!(spoilt.reason(), Reason::Valid);
    }

    #[test]
    fn another_id_or_certificate_never_passes(id in "\\PC{1,60}", other in "\\PC{1,60}", sha256 in any::<[u8; 32]>()) {
        prop_assume!(id != other && !id.trim().is_empty() && !other.trim().is_empty() && sha256 != CERTIFICATE);
        let case = Case::bound_to(&id);
        prop_assert_eq!(case.reason(), Reason::Valid);
        let spoilt = case.with(|case| case.presenter.binding = Some(binding(&other)));
        prop_assert_eq!(spoilt.reason(), Reason::BindingMismatch);
        let spoilt = Case::certified().with(|case| case.presenter.certificate_sha256 = Some(sha256));
        prop_assert_eq!(spoilt.reason(), Reason::ProofInvalid);
    }
}

#[test]
fn every_reason_is_counted_under_its_decision() {
    let reasons: Vec<_> = (0..).map_while(|number| Reason::try_from(number).ok()).collect();
    assert_eq!(reasons.len(), 22, "the numbers of reasons have no gap");
    let allowed: Vec<_> = reasons
        .into_iter()
        .filter(|reason| crate::decision(*reason) == Decision::Allow)
        .collect();
    assert_eq!(allowed, [Reason::Valid]);
}
