//! Random use of refresh tokens, for the comparison in `model`.

use proptest::prelude::*;
use tokenbind_index::{Grace, LiveFamily, Refreshed};
use tokenbind_proto::index::v1::RefreshFamilyRecord;
use tokenbind_proto::v1::TokenFormat;

use crate::harness::Harness;
use crate::model::{STEP_MS, said, sample};
use crate::samples::Sample;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Begin(Sample),
    Refresh(Use),
    End(usize),
    EndReused(Use),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => sample().prop_map(Step::Begin),
        6 => used().prop_map(Step::Refresh),
        1 => (0..8_usize).prop_map(Step::End),
        1 => used().prop_map(Step::EndReused),
    ]
}

/// A refresh token that is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    /// Which of the families that were begun, counted round.
    family: usize,
    /// How many turns before the live one.
    back: u32,
    /// Of the access token.
    scope: u8,
    format: TokenFormat,
    generation: u32,
    serial: u32,
    /// 0 is none.
    limit: u32,
    rotates: bool,
    grace_uses: u32,
}

/// The families of one run: the number of each stands in its nonce, and its subject, application and binding stay.
#[derive(Default)]
pub(crate) struct Families(Vec<(Sample, LiveFamily)>);

impl Families {
    fn used(&self, used: &Use) -> Option<(Sample, LiveFamily, u32)> {
        let (begun, family) = self.0.get(used.family % self.0.len().max(1))?;
        let sample = Sample {
            scope: used.scope,
            format: used.format,
            generation: used.generation,
            serial: used.serial,
            limit: used.limit,
            ..*begun
        };
        Some((sample, *family, family.sequence.saturating_sub(used.back)))
    }
}

fn used() -> impl Strategy<Value = Use> {
    (
        (
            0..8_usize,
            prop_oneof![4 => Just(0_u32), 2 => Just(1), 1 => Just(2)],
            1..3_u8,
        ),
        prop_oneof![Just(TokenFormat::Jwt), Just(TokenFormat::Opaque)],
        prop_oneof![3 => Just(1_u32), 1 => Just(2)],
        0..1_000_u32,
        prop_oneof![4 => Just(0_u32), 1 => 1..3_u32],
        prop_oneof![4 => Just(true), 1 => Just(false)],
        0..3_u32,
    )
        .prop_map(
            |((family, back, scope), format, generation, serial, limit, rotates, grace_uses)| Use {
                family,
                back,
                scope,
                format,
                generation,
                serial,
                limit,
                rotates,
                grace_uses,
            },
        )
}

impl Use {
    fn grace(&self) -> Grace {
        Grace {
            ms: u64::from(STEP_MS),
            uses: self.grace_uses,
        }
    }
}

pub(crate) fn timeless_family(mut record: RefreshFamilyRecord) -> RefreshFamilyRecord {
    record.rotated_at = 0;
    record.ends_at = 0;
    record
}

/// A use of which only the family counts.
const NOTHING: Use = Use {
    family: 0,
    back: 0,
    scope: 1,
    format: TokenFormat::Jwt,
    generation: 1,
    serial: 0,
    limit: 0,
    rotates: true,
    grace_uses: 0,
};

impl Step {
    /// Does it and says in words what came of it, without times.
    pub(crate) async fn apply(&self, on: &Harness, families: &mut Families) -> String {
        let store = &on.store;
        match self {
            Self::Begin(sample) => {
                let nonce = u8::try_from(families.0.len()).expect("few");
                let mut wanted = sample.begin(nonce);
                wanted.lifetime_ms = u64::from(STEP_MS) * 9;
                wanted.idle_ms = u64::from(STEP_MS) * 5;
                let begun = store.begin_family(sample.issue(), wanted).await.expect("begin");
                families.0.extend(begun.family.map(|family| (*sample, family)));
                let index = begun.family.map(|family| family.locator.position.index);
                format!("{}, family at {index:?}", said(begun.issued))
            }
            Self::Refresh(used) => {
                let Some((sample, family, presented)) = families.used(used) else {
                    return "no family".to_owned();
                };
                let mut refresh = sample.refresh(family.locator, presented, used.grace());
                match &mut refresh.rotate {
                    Some(rotate) if used.rotates => rotate.idle_ms = u64::from(STEP_MS) * 5,
                    rotate => *rotate = None,
                }
                match store.refresh(sample.issue(), refresh).await.expect("refresh") {
                    Refreshed::Done {
                        issued,
                        family,
                        replayed,
                    } => {
                        let place = used.family % families.0.len();
                        families.0[place].1 = family;
                        let steps = (family.remaining_ms + u64::from(STEP_MS) / 2) / u64::from(STEP_MS);
                        let replayed = replayed.map(|record| timeless_family(*record));
                        let sequence = family.sequence;
                        format!("{}, {sequence} for {steps} steps, replayed {replayed:?}", said(issued))
                    }
                    Refreshed::NotIssued(issued) => format!("not: {}", said(issued)),
                    Refreshed::Reused(revoked) => format!("reused, {} died", revoked.count),
                    other => format!("{other:?}"),
                }
            }
            Self::End(number) => {
                let used = Use {
                    family: *number,
                    ..NOTHING
                };
                let Some((_, family, _)) = families.used(&used) else {
                    return "no family".to_owned();
                };
                let ended = store.end_family(&family.locator).await.expect("end");
                format!("ended {}", ended.count)
            }
            Self::EndReused(used) => {
                let Some((_, family, presented)) = families.used(used) else {
                    return "no family".to_owned();
                };
                let ended = store.end_reused(&family.locator, presented, used.grace()).await;
                format!("ended {:?}", ended.expect("end").map(|ended| ended.count))
            }
        }
    }
}
