//! What every store promises of refresh tokens, each promise on each store.

use std::time::Duration;

use futures::future::join_all;
use tokenbind_index::{
    ApplicationTag, FamilyLocator, Grace, IndexError, Issued, LiveFamily, MAX_FAMILIES, MAX_FAMILY_TOKENS, Nonce,
    OverLimit, Refreshed, Selection,
};
use tokenbind_proto::v1::TokenFormat;

use crate::harness::Harness;
use crate::samples::{Sample, client_id, home, of_device};

crate::harness::on_every_store!(
    a_login_begins_a_family_with_its_token,
    a_refresh_token_is_followed_by_the_next,
    c75_reuse_ends_the_family_and_its_tokens,
    c75_within_the_grace_the_same_successor_is_live,
    the_grace_ends_by_time_and_by_count,
    c24_ending_a_family_kills_its_tokens_alone,
    r2_r3_revoking_reaches_families,
    r4_a_family_of_an_older_generation_is_gone,
    s16_a_family_is_a_live_binding,
    s9_a_refused_refresh_changes_nothing,
    a_family_ends_when_it_is_idle_and_at_its_end,
    the_family_used_longest_ago_makes_room,
    a_family_has_so_many_live_tokens,
    a_token_that_was_kept_belongs_to_the_family_too,
    what_is_held_is_not_rotated,
    another_family_of_the_place_is_not_touched,
    r8_families_are_listed,
    a4_many_at_once_have_one_successor,
    a4_many_at_once_without_grace_have_one_success,
    a5_nothing_comes_of_a_login_behind_a_long_revocation,
);

const DEVICE: Sample = Sample {
    subject: 1,
    application: 1,
    scope: 1,
    device: 1,
    format: TokenFormat::Jwt,
    generation: 1,
    lifetime_ms: 60_000,
    serial: 1,
    limit: 0,
    over: OverLimit::Reject,
};
const NO_GRACE: Grace = Grace { ms: 0, uses: 0 };
const GRACE: Grace = Grace { ms: 10_000, uses: 2 };

impl Harness {
    async fn login(&self, sample: Sample, nonce: u8) -> LiveFamily {
        let begun = self.store.begin_family(sample.issue(), sample.begin(nonce)).await;
        begun.expect("begin").family.expect("a family")
    }

    async fn refresh(&self, family: &LiveFamily, presented: u32, sample: Sample, grace: Grace) -> Refreshed {
        let refresh = sample.refresh(family.locator, presented, grace);
        self.store.refresh(sample.issue(), refresh).await.expect("refresh")
    }

    async fn is_live(&self, sample: Sample) -> bool {
        let record = self.store.read(&sample.locator()).await.expect("read");
        record.is_some_and(|record| record.digest == sample.record().digest)
    }

    async fn sequence(&self, family: &LiveFamily) -> Option<u32> {
        let record = self.store.read_family(&family.locator).await.expect("read");
        record.map(|record| record.sequence)
    }
}

/// The live family of a refresh that was done, and whether it was answered within the grace.
#[track_caller]
fn done(refreshed: Refreshed) -> (LiveFamily, bool) {
    match refreshed {
        Refreshed::Done { family, replayed, .. } => (family, replayed.is_some()),
        other => panic!("not refreshed: {other:?}"),
    }
}

fn serial(serial: u32, sample: Sample) -> Sample {
    Sample { serial, ..sample }
}

async fn a_login_begins_a_family_with_its_token(on: Harness) {
    let begun = on
        .store
        .begin_family(DEVICE.issue(), DEVICE.begin(1))
        .await
        .expect("begin");
    let Issued::New { revision, .. } = begun.issued else {
        panic!("{:?}", begun.issued)
    };
    let family = begun.family.expect("a family");
    assert_eq!((family.sequence, family.locator.home), (1, home(1)));
    assert_eq!(family.remaining_ms, 300_000, "idle");
    assert!(on.is_live(DEVICE).await);
    let record = on
        .store
        .read_family(&family.locator)
        .await
        .expect("read")
        .expect("live");
    assert_eq!((record.generation, record.grace_uses), (1, 0));
    assert_eq!(record.client_id, client_id(1));
    assert!(record.rotated_at >= revision && record.ends_at >= revision / 1_000 + 600_000);
    assert_eq!(
        record.tokens,
        [[&DEVICE.slot().0[..], &DEVICE.record().digest].concat()]
    );
}

async fn a_refresh_token_is_followed_by_the_next(on: Harness) {
    let family = on.login(DEVICE, 1).await;
    for turn in 1..5 {
        let (next, replayed) = done(on.refresh(&family, turn, serial(turn + 1, DEVICE), NO_GRACE).await);
        assert_eq!(
            (next.sequence, next.locator, replayed),
            (turn + 1, family.locator, false)
        );
        assert!(on.is_live(serial(turn + 1, DEVICE)).await && !on.is_live(serial(turn, DEVICE)).await);
    }
    let record = on
        .store
        .read_family(&family.locator)
        .await
        .expect("read")
        .expect("live");
    assert_eq!((record.sequence, record.tokens.len()), (5, 1));
    // One that was never issued is not one that was used.
    assert_eq!(on.refresh(&family, 6, DEVICE, NO_GRACE).await, Refreshed::Gone);
    assert_eq!(on.sequence(&family).await, Some(5));
}

async fn c75_reuse_ends_the_family_and_its_tokens(on: Harness) {
    let family = on.login(DEVICE, 1).await;
    let other_login = on.login(Sample { scope: 9, ..DEVICE }, 2).await;
    let narrow = Sample {
        scope: 2,
        ..serial(2, DEVICE)
    };
    done(on.refresh(&family, 1, narrow, NO_GRACE).await);
    let Refreshed::Reused(ended) = on.refresh(&family, 1, serial(3, DEVICE), NO_GRACE).await else {
        panic!("used twice")
    };
    assert_eq!(ended.count, 3, "the family and both tokens");
    assert!(!on.is_live(DEVICE).await && !on.is_live(narrow).await && !on.is_live(serial(3, DEVICE)).await);
    assert_eq!(on.refresh(&family, 2, DEVICE, NO_GRACE).await, Refreshed::Gone);
    assert_eq!(on.sequence(&other_login).await, Some(1), "another login goes on");
    assert!(on.is_live(Sample { scope: 9, ..DEVICE }).await);
}

async fn c75_within_the_grace_the_same_successor_is_live(on: Harness) {
    let family = on.login(DEVICE, 1).await;
    let (next, _) = done(on.refresh(&family, 1, serial(2, DEVICE), GRACE).await);
    let (again, replayed) = done(on.refresh(&family, 1, serial(3, DEVICE), GRACE).await);
    assert_eq!((again.sequence, replayed), (next.sequence, true));
    assert!(on.is_live(serial(3, DEVICE)).await, "S2: the later access token");
    let (third, replayed) = done(on.refresh(&family, 2, serial(4, DEVICE), GRACE).await);
    assert_eq!((third.sequence, replayed), (3, false), "the successor is good for one");
}

async fn the_grace_ends_by_time_and_by_count(on: Harness) {
    for (nonce, late) in [(1, true), (2, false)] {
        let family = on.login(DEVICE, nonce).await;
        done(on.refresh(&family, 1, serial(2, DEVICE), GRACE).await);
        if late {
            on.advance(Duration::from_secs(11));
            let none = on.store.end_reused(&family.locator, 2, GRACE).await.expect("look");
            assert_eq!(none, None, "the live one is no reuse");
        } else {
            for _ in 0..2 {
                let none = on.store.end_reused(&family.locator, 1, GRACE).await.expect("look");
                assert_eq!(none, None, "within its grace");
                done(on.refresh(&family, 1, serial(3, DEVICE), GRACE).await);
            }
        }
        if nonce == 1 {
            let ended = on.store.end_reused(&family.locator, 1, GRACE).await.expect("end");
            assert_eq!(ended.map(|ended| ended.count), Some(2));
        } else {
            let reused = on.refresh(&family, 1, serial(4, DEVICE), GRACE).await;
            assert!(matches!(reused, Refreshed::Reused(_)), "{reused:?}");
        }
        assert_eq!(on.sequence(&family).await, None);
        // One that is older than the one before has no grace.
        let family = on.login(DEVICE, nonce + 10).await;
        done(on.refresh(&family, 1, DEVICE, GRACE).await);
        done(on.refresh(&family, 2, DEVICE, GRACE).await);
        let reused = on.refresh(&family, 1, DEVICE, GRACE).await;
        assert!(matches!(reused, Refreshed::Reused(_)), "{reused:?}");
    }
}

async fn c24_ending_a_family_kills_its_tokens_alone(on: Harness) {
    let family = on.login(DEVICE, 1).await;
    let narrow = Sample { scope: 2, ..DEVICE };
    done(on.refresh(&family, 1, narrow, NO_GRACE).await);
    // Somebody else's token is in the first slot now.
    on.store.issue(serial(7, DEVICE).issue()).await.expect("issue");
    let ended = on.store.end_family(&family.locator).await.expect("end");
    assert_eq!(ended.count, 2);
    assert!(on.is_live(serial(7, DEVICE)).await && !on.is_live(narrow).await);
    let page = on.store.list(home(1), None, 10).await.expect("list");
    assert_eq!((page.tokens.len(), page.families.len()), (1, 0));
    let again = on.store.end_family(&family.locator).await.expect("end");
    assert_eq!(again.count, 0);
    assert!(again.revision >= ended.revision);
}

async fn r2_r3_revoking_reaches_families(on: Harness) {
    let samples = [(1, 1), (1, 2), (2, 1), (2, 0)].map(|(application, device)| Sample {
        application,
        device,
        ..DEVICE
    });
    let mut families = Vec::new();
    for sample in samples {
        families.push(on.login(sample, 1).await);
    }
    let application = |number| Some(ApplicationTag::of(&client_id(number)));
    let cases = [
        (
            Selection {
                application: application(2),
                ..of_device(1, 1)
            },
            [true, true, false, true],
        ),
        (of_device(1, 1), [false, true, false, true]),
        (
            Selection {
                application: application(1),
                binding: None,
            },
            [false, false, false, true],
        ),
        (Selection::default(), [false; 4]),
    ];
    for (selection, live) in cases {
        let revoked = on.store.revoke_subject(home(1), selection).await.expect("revoke");
        assert_eq!(revoked.count, 2, "a token and its family: {selection:?}");
        for (family, live) in families.iter().zip(live) {
            assert_eq!(on.sequence(family).await.is_some(), live, "{selection:?}");
        }
    }
    assert_eq!(on.refresh(&families[0], 1, DEVICE, GRACE).await, Refreshed::Gone);
}

async fn r4_a_family_of_an_older_generation_is_gone(on: Harness) {
    let family = on.login(DEVICE, 1).await;
    let newer = Sample {
        generation: 2,
        ..DEVICE
    };
    assert_eq!(on.refresh(&family, 1, newer, GRACE).await, Refreshed::Gone);
    let family = on.login(newer, 2).await;
    assert_eq!(
        on.refresh(&family, 1, DEVICE, GRACE).await,
        Refreshed::NotIssued(Issued::GenerationBehind)
    );
    assert_eq!(family.locator.position.index, 0, "a dead one takes no place");
    assert_eq!(on.sequence(&family).await, Some(1));
}

async fn s16_a_family_is_a_live_binding(on: Harness) {
    let limited = |device, over| Sample {
        device,
        limit: 1,
        over,
        ..DEVICE
    };
    let family = on.login(limited(1, OverLimit::Reject), 1).await;
    on.advance(Duration::from_secs(61));
    assert!(!on.is_live(DEVICE).await, "the access token has ended");
    let second = limited(2, OverLimit::Reject);
    let begun = on
        .store
        .begin_family(second.issue(), second.begin(2))
        .await
        .expect("begin");
    assert_eq!((begun.issued, begun.family), (Issued::LimitReached, None));
    done(on.refresh(&family, 1, limited(1, OverLimit::Reject), GRACE).await);
    let evicting = on.login(limited(2, OverLimit::EvictOldest), 2).await;
    assert_eq!(on.sequence(&family).await, None, "it would come back");
    assert_eq!(on.sequence(&evicting).await, Some(1));
}

async fn s9_a_refused_refresh_changes_nothing(on: Harness) {
    let family = on.login(DEVICE, 1).await;
    let other = Sample { device: 2, ..DEVICE };
    on.store.issue(other.issue()).await.expect("issue");
    let limited = Sample {
        limit: 1,
        ..serial(2, DEVICE)
    };
    assert_eq!(
        on.refresh(&family, 1, limited, GRACE).await,
        Refreshed::NotIssued(Issued::LimitReached)
    );
    assert!(on.is_live(DEVICE).await && on.is_live(other).await);
    let (next, replayed) = done(on.refresh(&family, 1, serial(2, DEVICE), GRACE).await);
    assert_eq!((next.sequence, replayed), (2, false));
}

async fn a_family_ends_when_it_is_idle_and_at_its_end(on: Harness) {
    let idle = on.login(DEVICE, 1).await;
    on.advance(Duration::from_secs(299));
    assert_eq!(on.sequence(&idle).await, Some(1));
    on.advance(Duration::from_secs(2));
    assert_eq!(on.refresh(&idle, 1, DEVICE, GRACE).await, Refreshed::Gone);

    let used = on.login(DEVICE, 2).await;
    let mut left = Vec::new();
    for turn in 1..=4 {
        on.advance(Duration::from_secs(140));
        let (next, _) = done(on.refresh(&used, turn, DEVICE, GRACE).await);
        left.push(next.remaining_ms.div_ceil(10_000));
    }
    assert_eq!(left, [30, 30, 18, 4], "never beyond 600 s from the login");
    on.advance(Duration::from_secs(41));
    assert_eq!(on.refresh(&used, 5, DEVICE, GRACE).await, Refreshed::Gone);
    assert!(
        on.store
            .list(home(1), None, 10)
            .await
            .expect("list")
            .families
            .is_empty()
    );
}

async fn the_family_used_longest_ago_makes_room(on: Harness) {
    let mut families = Vec::new();
    for nonce in 0..MAX_FAMILIES {
        families.push(on.login(DEVICE, u8::try_from(nonce).expect("few")).await);
    }
    let elsewhere = on.login(Sample { device: 2, ..DEVICE }, 1).await;
    done(on.refresh(&families[0], 1, DEVICE, GRACE).await);
    let further = on.login(DEVICE, 100).await;
    assert_eq!(further.locator.position, families[1].locator.position);
    assert_eq!(on.sequence(&families[1]).await, None);
    assert_eq!(on.refresh(&families[1], 1, DEVICE, GRACE).await, Refreshed::Gone);
    for (family, sequence) in [(&families[0], 2), (&families[2], 1), (&further, 1), (&elsewhere, 1)] {
        assert_eq!(on.sequence(family).await, Some(sequence));
    }
    let page = on.store.list(home(1), None, 100).await.expect("list");
    assert_eq!(page.families.len(), usize::from(MAX_FAMILIES) + 1);
}

async fn a_family_has_so_many_live_tokens(on: Harness) {
    let most = u8::try_from(MAX_FAMILY_TOKENS).expect("few");
    let slot = |scope| Sample { scope, ..DEVICE };
    let first = Sample {
        lifetime_ms: 30_000,
        ..slot(1)
    };
    let family = on.login(first, 1).await;
    for scope in 2..=most {
        done(on.refresh(&family, u32::from(scope) - 1, slot(scope), GRACE).await);
    }
    let presented = u32::from(most);
    assert_eq!(
        on.refresh(&family, presented, slot(most + 1), GRACE).await,
        Refreshed::TooManyTokens
    );
    done(on.refresh(&family, presented, serial(2, slot(most)), GRACE).await);
    on.advance(Duration::from_secs(31));
    done(on.refresh(&family, presented + 1, slot(most + 1), GRACE).await);
    let ended = on.store.end_family(&family.locator).await.expect("end");
    assert_eq!(ended.count, u64::from(most) + 1);
}

async fn a_token_that_was_kept_belongs_to_the_family_too(on: Harness) {
    let opaque = Sample {
        format: TokenFormat::Opaque,
        ..DEVICE
    };
    on.store.issue(opaque.issue()).await.expect("issue");
    let begun = on
        .store
        .begin_family(serial(2, opaque).issue(), opaque.begin(1))
        .await
        .expect("begin");
    assert!(matches!(begun.issued, Issued::Kept { .. }), "S7: {:?}", begun.issued);
    let family = begun.family.expect("a family");
    let Refreshed::Done { issued, family, .. } = on.refresh(&family, 1, serial(3, opaque), GRACE).await else {
        panic!("refresh")
    };
    assert!(matches!(issued, Issued::Kept { .. }), "S7: {issued:?}");
    assert!(on.is_live(opaque).await);
    on.store.end_family(&family.locator).await.expect("end");
    assert!(!on.is_live(opaque).await);
}

async fn what_is_held_is_not_rotated(on: Harness) {
    let family = on.login(DEVICE, 1).await;
    let mut again = DEVICE.refresh(family.locator, 1, GRACE);
    again.rotate = None;
    let held = on.store.refresh(serial(2, DEVICE).issue(), again.clone()).await;
    let (held, replayed) = done(held.expect("hold"));
    assert_eq!((held.sequence, replayed), (1, false));
    assert!(on.is_live(serial(2, DEVICE)).await);
    done(on.refresh(&family, 1, serial(3, DEVICE), GRACE).await);
    let late = on.store.refresh(serial(4, DEVICE).issue(), again).await.expect("hold");
    assert_eq!(late, Refreshed::Gone, "it was rotated meanwhile");
    assert!(on.is_live(serial(3, DEVICE)).await);
}

async fn another_family_of_the_place_is_not_touched(on: Harness) {
    let family = on.login(DEVICE, 1).await;
    let stranger = LiveFamily {
        locator: FamilyLocator {
            nonce: Nonce([9; 16]),
            ..family.locator
        },
        ..family
    };
    assert_eq!(on.sequence(&stranger).await, None);
    assert_eq!(on.refresh(&stranger, 1, DEVICE, GRACE).await, Refreshed::Gone);
    assert_eq!(on.store.end_family(&stranger.locator).await.expect("end").count, 0);
    let reused = on.store.end_reused(&stranger.locator, 0, NO_GRACE).await.expect("end");
    assert_eq!(reused, None);
    assert_eq!(on.sequence(&family).await, Some(1));
}

async fn r8_families_are_listed(on: Harness) {
    for nonce in 0..5 {
        on.login(Sample { scope: nonce, ..DEVICE }, nonce).await;
    }
    let (mut tokens, mut families, mut after) = (0, Vec::new(), None);
    loop {
        let page = on.store.list(home(1), after, 3).await.expect("list");
        assert!(page.tokens.len() + page.families.len() <= 3);
        tokens += page.tokens.len();
        families.extend(page.families);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((tokens, families.len()), (5, 5));
    for family in &families {
        let left = family.expires_ms - family.record.rotated_at / 1_000;
        assert_eq!((left, family.record.sequence), (300_000, 1));
    }
}

async fn a4_many_at_once_have_one_successor(on: Harness) {
    let patient = Grace { ms: 60_000, uses: 64 };
    let family = on.login(DEVICE, 1).await;
    for presented in 1..=1_000 {
        let uses = (0..64).map(|number| on.refresh(&family, presented, serial(number, DEVICE), patient));
        let mut rotated = 0;
        for refreshed in join_all(uses).await {
            let (next, replayed) = done(refreshed);
            assert_eq!(next.sequence, presented + 1);
            rotated += u32::from(!replayed);
        }
        assert_eq!(rotated, 1);
    }
    let page = on.store.list(home(1), None, 10).await.expect("list");
    assert_eq!((page.tokens.len(), page.families.len()), (1, 1), "nothing forked");
    assert_eq!(page.families[0].record.tokens.len(), 1);
}

async fn a4_many_at_once_without_grace_have_one_success(on: Harness) {
    for round in 0..100 {
        let family = on.login(DEVICE, round).await;
        let uses = (0..64).map(|number| on.refresh(&family, 1, serial(number, DEVICE), NO_GRACE));
        let outcomes = join_all(uses).await;
        let count = |wanted: fn(&Refreshed) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
        assert_eq!(count(|outcome| matches!(outcome, Refreshed::Done { .. })), 1);
        assert_eq!(count(|outcome| matches!(outcome, Refreshed::Reused(_))), 1);
        assert_eq!(count(|outcome| matches!(outcome, Refreshed::Gone)), 62);
        let page = on.store.list(home(1), None, 10).await.expect("list");
        assert!(page.tokens.is_empty() && page.families.is_empty());
    }
}

/// A revocation of thousands of slots takes several steps, and each refresh between two of them issues an access token that ends
/// earlier than what the next step looks at.
async fn a5_nothing_comes_of_a_login_behind_a_long_revocation(on: Harness) {
    let issues = (0..12_000_u32).map(|number| {
        let mut issue = Sample {
            lifetime_ms: 120_000,
            ..DEVICE
        }
        .issue();
        issue.slot.0[..4].copy_from_slice(&number.to_be_bytes());
        on.store.issue(issue)
    });
    for issued in join_all(issues).await {
        issued.expect("issue");
    }
    let family = on.login(DEVICE, 1).await;
    let refreshing = async {
        let mut presented = 1;
        while let Refreshed::Done { .. } = on
            .refresh(&family, presented, serial(presented, DEVICE), NO_GRACE)
            .await
        {
            presented += 1;
            // A store in memory never waits by itself.
            tokio::task::yield_now().await;
        }
        presented
    };
    let revoking = on.store.revoke_subject(home(1), of_device(1, 1));
    let (_, revoked) = tokio::join!(refreshing, revoking);
    assert!(revoked.expect("revoke").count >= 12_002);
    let page = on.store.list(home(1), None, 10).await.expect("list");
    assert_eq!((page.tokens, page.families), (Vec::new(), Vec::new()));
}

/// A key can be there for a moment longer than its family: Redis looks at the clock anew within a script.
#[tokio::test]
async fn s9_a_family_at_its_very_end_issues_nothing() {
    for on in [Harness::redis().await, Harness::valkey().await] {
        let family = on.login(DEVICE, 1).await;
        let ended = ::redis::Script::new(
            r"
            for _, key in ipairs(redis.call('KEYS', '*')) do
              if #key == 43 then redis.call('SETRANGE', key, 25, struct.pack('<I8', redis.call('TIME')[1] * 1000)) end
            end
            return 1",
        );
        let _: i64 = ended.invoke(&mut on.server().connection()).expect("end");
        let refreshed = on
            .store
            .refresh(serial(2, DEVICE).issue(), DEVICE.refresh(family.locator, 1, GRACE));
        assert_eq!(refreshed.await.expect("refresh"), Refreshed::Gone);
        assert!(on.is_live(DEVICE).await, "nothing was changed");
    }
}

/// R7, also for what a login left behind.
#[tokio::test]
async fn r7_a_family_ends_when_the_store_is_full() {
    let on = Harness::redis().await;
    let family = on.login(DEVICE, 1).await;
    done(on.refresh(&family, 1, DEVICE, NO_GRACE).await);
    ::redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .exec(&mut on.server().connection())
        .expect("fill");
    let refused = on
        .store
        .refresh(DEVICE.issue(), DEVICE.refresh(family.locator, 2, NO_GRACE))
        .await;
    assert!(matches!(refused, Err(IndexError::Full(_))), "{refused:?}");
    assert_eq!(on.sequence(&family).await, Some(2));
    let ended = on.store.end_reused(&family.locator, 1, NO_GRACE).await.expect("end");
    assert_eq!(ended.map(|ended| ended.count), Some(2));
}
