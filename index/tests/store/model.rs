//! Random operations give the same answers in memory, on Redis 7 and on Valkey 9: the memory store is the model.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokenbind_index::{ApplicationTag, DocumentKind, Expect, IssuePolicy, Issued, OverLimit, Selection, TokenDigest};
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::TokenFormat;

use crate::harness::Harness;
use crate::model_families::{Families, Step, step, timeless_family};
use crate::samples::{Sample, client_id, home, tag};

/// Lifetimes are odd and steps of time even multiples of this, so no token ends within the time that the operations
/// themselves take on a Redis, however busy the machine is.
pub(crate) const STEP_MS: u32 = 60_000;

#[derive(Clone, Debug)]
enum Operation {
    Issue(Sample),
    IssueExcept(Sample),
    IssueOnly(Sample),
    Family(Step),
    RevokeToken(Sample),
    RevokeSubject {
        subject: u8,
        application: Option<u8>,
        device: Option<u8>,
    },
    RaiseGeneration(u8),
    PutApplication(u8),
    DeleteApplication(u8),
    Pass(u32),
    List(u8),
}

pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    let names = (1..3_u8, 1..3_u8, 1..3_u8, 0..4_u8);
    let format = prop_oneof![Just(TokenFormat::Jwt), Just(TokenFormat::Opaque)];
    let over = prop_oneof![Just(OverLimit::Reject), Just(OverLimit::EvictOldest)];
    (
        names,
        format,
        1..3_u32,
        0..4_u32,
        0..1_000_u32,
        prop_oneof![3 => Just(0), 1 => 1..3_u32],
        over,
    )
        .prop_map(
            |((subject, application, scope, device), format, generation, life, serial, limit, over)| Sample {
                subject,
                application,
                scope,
                device,
                format,
                generation,
                lifetime_ms: STEP_MS * (2 * life + 1),
                serial,
                limit,
                over,
            },
        )
}

fn operation() -> impl Strategy<Value = Operation> {
    let application = prop_oneof![Just(None), (1..3_u8).prop_map(Some)];
    let device = prop_oneof![Just(None), (1..4_u8).prop_map(Some)];
    prop_oneof![
        8 => sample().prop_map(Operation::Issue),
        1 => sample().prop_map(Operation::IssueExcept),
        1 => sample().prop_map(Operation::IssueOnly),
        11 => step().prop_map(Operation::Family),
        2 => sample().prop_map(Operation::RevokeToken),
        2 => (1..3_u8, application, device).prop_map(|(subject, application, device)| Operation::RevokeSubject {
            subject,
            application,
            device,
        }),
        1 => (1..3_u8).prop_map(Operation::RaiseGeneration),
        1 => (1..3_u8).prop_map(Operation::PutApplication),
        1 => (1..3_u8).prop_map(Operation::DeleteApplication),
        2 => (1..4_u32).prop_map(|steps| Operation::Pass(2 * STEP_MS * steps)),
        1 => (1..3_u8).prop_map(Operation::List),
    ]
}

/// A record without what the store's own clock put in.
fn timeless(mut record: TokenRecord) -> TokenRecord {
    record.revision = 0;
    record
}

/// Does one operation and says in words what came of it, without times.
async fn apply(on: &Harness, families: &mut Families, operation: &Operation) -> String {
    let store = &on.store;
    match operation {
        Operation::Issue(sample) => said(store.issue(sample.issue()).await.expect("issue")),
        Operation::IssueExcept(sample) => {
            let live = store.read(&sample.locator()).await.expect("read");
            let mut issue = sample.issue();
            issue.policy = IssuePolicy::Keep {
                except: live.map(|record| record.revision),
            };
            said(store.issue(issue).await.expect("issue"))
        }
        Operation::IssueOnly(sample) => {
            let live = store.read(&sample.locator()).await.expect("read");
            let digest = live.map_or([0; 32], |record| record.digest.try_into().expect("32 bytes"));
            let mut issue = sample.issue();
            issue.policy = IssuePolicy::ReplaceOnly(TokenDigest(digest));
            said(store.issue(issue).await.expect("issue"))
        }
        Operation::Family(step) => step.apply(on, families).await,
        Operation::RevokeToken(sample) => {
            let revoked = store
                .revoke_token(home(sample.subject), sample.slot(), &sample.record())
                .await;
            format!("revoked {}", revoked.expect("revoke").count)
        }
        Operation::RevokeSubject {
            subject,
            application,
            device,
        } => {
            let selection = Selection {
                application: application.map(|number| ApplicationTag::of(&client_id(number))),
                binding: device.map(|number| tag(*subject, number)),
            };
            format!(
                "revoked {}",
                store
                    .revoke_subject(home(*subject), selection)
                    .await
                    .expect("revoke")
                    .count
            )
        }
        Operation::RaiseGeneration(application) => {
            let raised = store
                .raise_generation(DocumentKind::Application, &client_id(*application))
                .await;
            format!("{:?}", raised.expect("raise").is_some())
        }
        Operation::PutApplication(application) => {
            let id = client_id(*application);
            let put = store
                .put_document(DocumentKind::Application, &id, id.clone().into(), Expect::Absent)
                .await;
            let found = store.document(DocumentKind::Application, &id).await.expect("read");
            format!("{:?} {}", std::mem::discriminant(&put.expect("put")), found.is_some())
        }
        Operation::DeleteApplication(application) => {
            let id = client_id(*application);
            let remember_ms = u64::from(3 * STEP_MS);
            format!(
                "{:?}",
                store
                    .delete_document(DocumentKind::Application, &id, Expect::Any, remember_ms)
                    .await
            )
        }
        Operation::Pass(ms) => {
            on.advance(Duration::from_millis(u64::from(*ms)));
            "passed".to_owned()
        }
        Operation::List(subject) => {
            let page = store.list(home(*subject), None, 1_000).await.expect("list");
            let mut tokens: Vec<_> = page
                .tokens
                .into_iter()
                .map(|token| (token.slot, format!("{:?}", timeless(token.record))))
                .collect();
            // Two tokens that end within the same step end in the order of real microseconds.
            tokens.sort();
            let families = page.families.into_iter();
            let mut families: Vec<_> = families
                .map(|family| format!("{:?}", timeless_family(family.record)))
                .collect();
            families.sort();
            format!("{tokens:?} {families:?}")
        }
    }
}

pub(crate) fn said(issued: Issued) -> String {
    match issued {
        Issued::New { superseded, .. } => format!("new, superseded {superseded}"),
        Issued::Kept { record, remaining_ms } => {
            // Whole steps, rounded: a Redis has spent a few milliseconds meanwhile.
            let steps = (remaining_ms + u64::from(STEP_MS) / 2) / u64::from(STEP_MS);
            format!("kept {:?} for {steps} steps", timeless(*record))
        }
        Issued::LimitReached => "limit".to_owned(),
        Issued::GenerationBehind => "behind".to_owned(),
        Issued::Gone => "gone".to_owned(),
    }
}

async fn answers(on: &Harness, operations: &[Operation]) -> Vec<String> {
    let mut answers = Vec::new();
    let mut families = Families::default();
    for operation in operations {
        answers.push(apply(on, &mut families, operation).await);
    }
    for subject in 1..3 {
        answers.push(apply(on, &mut families, &Operation::List(subject)).await);
    }
    answers
}

fn agree_with_memory(on: &Harness, runtime: &tokio::runtime::Runtime) {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(200);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let checked = TestRunner::new(config).run(&vec(operation(), 1..60), |operations| {
        on.flush();
        let expected = runtime.block_on(answers(&Harness::memory(), &operations));
        let found = runtime.block_on(answers(on, &operations));
        for (index, (expected, found)) in expected.iter().zip(&found).enumerate() {
            let operation = operations.get(index);
            prop_assert_eq!(expected, found, "operation {}: {:?}", index, operation);
        }
        Ok(())
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
}

#[test]
fn redis_agrees_with_memory() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    agree_with_memory(&runtime.block_on(Harness::redis()), &runtime);
}

#[test]
fn valkey_agrees_with_memory() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    agree_with_memory(&runtime.block_on(Harness::valkey()), &runtime);
}
