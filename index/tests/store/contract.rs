//! What every store promises, each promise on each store.

use std::time::Duration;

use tokenbind_index::{ApplicationTag, IssuePolicy, Issued, OverLimit, Selection, TokenDigest};
use tokenbind_proto::v1::TokenFormat;

use crate::harness::Harness;
use crate::samples::{Sample, client_id, home, of_device};

crate::harness::on_every_store!(
    s1_s2_a_jwt_replaces_the_one_in_its_slot,
    s4_other_slots_are_not_touched,
    s5_s6_an_opaque_token_is_kept_until_it_ends,
    s15_less_than_a_second_is_not_kept,
    s16_a_limit_rejects,
    s16_a_limit_evicts_the_oldest_binding,
    s16_a_limit_counts_neither_dead_nor_unbound_nor_other_applications,
    a_token_that_cannot_be_derived_again_is_replaced_once,
    only_the_token_that_is_meant_is_replaced,
    an_older_generation_is_replaced_and_a_newer_one_stays,
    a_token_ends_by_the_stores_clock,
    r1_r5_revoking_a_token_leaves_its_successor,
    r2_r3_revoking_by_binding_application_and_subject,
    r2_r3_thousands_of_slots_in_one_call,
    r8_a_list_comes_in_pages,
    a_ping_tells_the_stores_time,
    a_long_round_lifetime_is_a_lifetime,
);

const OPAQUE: Sample = Sample {
    subject: 1,
    application: 1,
    scope: 1,
    device: 0,
    format: TokenFormat::Opaque,
    generation: 1,
    lifetime_ms: 60_000,
    serial: 1,
    limit: 0,
    over: OverLimit::Reject,
};

impl Harness {
    async fn put(&self, sample: Sample) -> Issued {
        self.store.issue(sample.issue()).await.expect("issue")
    }

    /// The serial number of the live token in the sample's slot.
    async fn live(&self, sample: Sample) -> Option<u32> {
        let record = self.store.read(&sample.locator()).await.expect("read")?;
        Some(u32::from_be_bytes(*record.digest.first_chunk().expect("a digest")))
    }
}

async fn s1_s2_a_jwt_replaces_the_one_in_its_slot(on: Harness) {
    let first = Sample::default();
    let second = Sample { serial: 2, ..first };
    let Issued::New {
        revision: before,
        superseded: false,
    } = on.put(first).await
    else {
        panic!("S1")
    };
    let Issued::New {
        revision: after,
        superseded: true,
    } = on.put(second).await
    else {
        panic!("S2")
    };
    assert!(after > before);
    assert_eq!(on.live(second).await, Some(2));
}

async fn s4_other_slots_are_not_touched(on: Harness) {
    let base = Sample {
        device: 1,
        ..Sample::default()
    };
    let others = [
        Sample {
            device: 2,
            serial: 2,
            ..base
        },
        Sample {
            device: 0,
            serial: 3,
            ..base
        },
        Sample {
            scope: 2,
            serial: 4,
            ..base
        },
        Sample {
            application: 2,
            serial: 5,
            ..base
        },
        Sample {
            subject: 2,
            serial: 6,
            ..base
        },
        Sample {
            format: TokenFormat::Opaque,
            serial: 7,
            ..base
        },
    ];
    for sample in others {
        assert!(
            matches!(on.put(sample).await, Issued::New { superseded: false, .. }),
            "{sample:?}"
        );
    }
    on.put(base).await;
    on.put(Sample { serial: 99, ..base }).await;
    for sample in others {
        assert_eq!(on.live(sample).await, Some(sample.serial), "{sample:?}");
    }
}

async fn s5_s6_an_opaque_token_is_kept_until_it_ends(on: Harness) {
    let Issued::New { revision, .. } = on.put(OPAQUE).await else {
        panic!("S6")
    };
    on.advance(Duration::from_secs(20));
    let Issued::Kept { record, remaining_ms } = on.put(Sample { serial: 2, ..OPAQUE }).await else {
        panic!("S5")
    };
    assert_eq!(record.digest, OPAQUE.record().digest);
    // The harness moves a Redis's records back instead of its time on.
    assert!(record.revision <= revision, "the same record");
    assert!((20_000..=40_000).contains(&remaining_ms), "{remaining_ms}");
    on.advance(Duration::from_secs(41));
    let again = on.put(Sample { serial: 3, ..OPAQUE }).await;
    assert!(matches!(again, Issued::New { superseded: false, .. }), "S6: {again:?}");
    assert_eq!(on.live(OPAQUE).await, Some(3));
}

async fn s15_less_than_a_second_is_not_kept(on: Harness) {
    on.put(Sample {
        lifetime_ms: 1_900,
        ..OPAQUE
    })
    .await;
    on.advance(Duration::from_secs(1));
    let again = on.put(Sample { serial: 2, ..OPAQUE }).await;
    assert!(matches!(again, Issued::New { .. }), "{again:?}");
}

async fn s16_a_limit_rejects(on: Harness) {
    let limited = |device| Sample {
        device,
        limit: 2,
        serial: u32::from(device),
        ..Sample::default()
    };
    on.put(limited(1)).await;
    on.put(limited(2)).await;
    assert_eq!(on.put(limited(3)).await, Issued::LimitReached);
    assert_eq!(on.live(limited(3)).await, None);
    assert_eq!(on.live(limited(1)).await, Some(1), "nothing was changed");
    // A binding that is there already may have further tokens.
    assert!(matches!(on.put(limited(2)).await, Issued::New { superseded: true, .. }));
    assert!(matches!(
        on.put(Sample { scope: 2, ..limited(2) }).await,
        Issued::New { .. }
    ));
    // One that is gone makes room.
    on.store.revoke_subject(home(1), of_device(1, 1)).await.expect("revoke");
    assert!(matches!(on.put(limited(3)).await, Issued::New { .. }));
}

async fn s16_a_limit_evicts_the_oldest_binding(on: Harness) {
    let limited = |device| Sample {
        device,
        limit: 2,
        over: OverLimit::EvictOldest,
        serial: u32::from(device),
        ..Sample::default()
    };
    on.put(limited(1)).await;
    on.put(limited(2)).await;
    // Device 1 is used again, so device 2 is the oldest now, in all its slots.
    on.put(Sample { scope: 2, ..limited(1) }).await;
    assert!(matches!(on.put(limited(3)).await, Issued::New { .. }));
    assert_eq!(on.live(limited(2)).await, None);
    assert_eq!(on.live(limited(1)).await, Some(1));
    // A limit that was lowered meanwhile evicts as many as it takes.
    assert!(matches!(
        on.put(Sample { limit: 1, ..limited(4) }).await,
        Issued::New { .. }
    ));
    assert_eq!((on.live(limited(1)).await, on.live(limited(3)).await), (None, None));
}

async fn s16_a_limit_counts_neither_dead_nor_unbound_nor_other_applications(on: Harness) {
    let limited = Sample {
        device: 9,
        limit: 1,
        ..Sample::default()
    };
    on.put(Sample { device: 0, ..limited }).await;
    on.put(Sample {
        application: 2,
        device: 1,
        limit: 0,
        ..limited
    })
    .await;
    on.put(Sample {
        device: 2,
        limit: 0,
        lifetime_ms: 1_000,
        ..limited
    })
    .await;
    on.advance(Duration::from_secs(2));
    assert!(matches!(on.put(limited).await, Issued::New { .. }));
    let newer = Sample {
        device: 3,
        generation: 2,
        ..limited
    };
    assert!(
        matches!(on.put(newer).await, Issued::New { .. }),
        "an older generation is dead"
    );
}

async fn a_token_that_cannot_be_derived_again_is_replaced_once(on: Harness) {
    let Issued::New { revision, .. } = on.put(OPAQUE).await else {
        panic!("issue")
    };
    let except = |serial| {
        let mut issue = Sample { serial, ..OPAQUE }.issue();
        issue.policy = IssuePolicy::Keep { except: Some(revision) };
        issue
    };
    let first = on.store.issue(except(2)).await.expect("issue");
    assert!(matches!(first, Issued::New { superseded: true, .. }), "{first:?}");
    // Everybody else who could not derive it gets the replacement.
    let second = on.store.issue(except(3)).await.expect("issue");
    assert!(matches!(second, Issued::Kept { .. }), "{second:?}");
    assert_eq!(on.live(OPAQUE).await, Some(2));
}

async fn only_the_token_that_is_meant_is_replaced(on: Harness) {
    let jwt = Sample {
        format: TokenFormat::Jwt,
        ..OPAQUE
    };
    let only = |after: u32, serial| {
        let digest = Sample { serial: after, ..jwt }.record().digest;
        let mut issue = Sample { serial, ..jwt }.issue();
        issue.policy = IssuePolicy::ReplaceOnly(TokenDigest(digest.try_into().expect("32 bytes")));
        on.store.issue(issue)
    };
    assert_eq!(only(1, 2).await.expect("issue"), Issued::Gone, "there is none");
    assert_eq!(on.live(jwt).await, None);
    on.put(jwt).await;
    assert_eq!(only(7, 2).await.expect("issue"), Issued::Gone, "there is another");
    assert_eq!(on.live(jwt).await, Some(1));
    let replaced = only(1, 2).await.expect("issue");
    assert!(matches!(replaced, Issued::New { superseded: true, .. }), "{replaced:?}");
    assert_eq!(only(1, 3).await.expect("issue"), Issued::Gone, "it was replaced once");
    assert_eq!(on.live(jwt).await, Some(2));
    // What is of another generation is dead already.
    let mut newer = Sample {
        serial: 3,
        generation: 2,
        ..jwt
    }
    .issue();
    let digest = Sample { serial: 2, ..jwt }.record().digest;
    newer.policy = IssuePolicy::ReplaceOnly(TokenDigest(digest.try_into().expect("32 bytes")));
    assert_eq!(on.store.issue(newer).await.expect("issue"), Issued::Gone);
}

async fn an_older_generation_is_replaced_and_a_newer_one_stays(on: Harness) {
    on.put(OPAQUE).await;
    let newer = Sample {
        generation: 2,
        serial: 2,
        ..OPAQUE
    };
    let replaced = on.put(newer).await;
    assert!(
        matches!(replaced, Issued::New { superseded: false, .. }),
        "a dead token is not superseded: {replaced:?}"
    );
    assert_eq!(on.put(Sample { serial: 3, ..OPAQUE }).await, Issued::GenerationBehind);
    assert_eq!(on.live(newer).await, Some(2));
}

async fn a_token_ends_by_the_stores_clock(on: Harness) {
    let sample = Sample {
        lifetime_ms: 50_000,
        device: 1,
        ..Sample::default()
    };
    on.put(sample).await;
    on.advance(Duration::from_secs(30));
    assert_eq!(on.live(sample).await, Some(1));
    on.advance(Duration::from_secs(20));
    assert_eq!(on.live(sample).await, None);
    assert!(on.store.list(home(1), None, 10).await.expect("list").tokens.is_empty());
    let revoked = on
        .store
        .revoke_subject(home(1), Selection::default())
        .await
        .expect("revoke");
    assert_eq!(revoked.count, 0);
}

async fn r1_r5_revoking_a_token_leaves_its_successor(on: Harness) {
    let first = Sample {
        device: 1,
        ..Sample::default()
    };
    let second = Sample { serial: 2, ..first };
    on.put(first).await;
    on.put(second).await;
    let old = on
        .store
        .revoke_token(home(1), first.slot(), &first.record())
        .await
        .expect("revoke");
    assert_eq!((old.count, on.live(second).await), (0, Some(2)));
    let new = on
        .store
        .revoke_token(home(1), second.slot(), &second.record())
        .await
        .expect("revoke");
    assert_eq!((new.count, on.live(second).await), (1, None));
    assert!(new.revision >= old.revision);
}

async fn r2_r3_revoking_by_binding_application_and_subject(on: Harness) {
    let tokens: Vec<Sample> = [(1, 1, 1), (1, 1, 2), (1, 2, 1), (1, 2, 2), (1, 1, 0), (2, 1, 1)]
        .into_iter()
        .map(|(subject, application, device)| Sample {
            subject,
            application,
            device,
            ..Sample::default()
        })
        .collect();
    let application = |number| Some(ApplicationTag::of(&client_id(number)));
    let cases = [
        (
            Selection {
                application: application(2),
                ..of_device(1, 1)
            },
            vec![(1, 2, 1)],
        ),
        (of_device(1, 1), vec![(1, 1, 1)]),
        (
            Selection {
                application: application(1),
                binding: None,
            },
            vec![(1, 1, 2), (1, 1, 0)],
        ),
        (Selection::default(), vec![(1, 2, 2)]),
    ];
    for token in &tokens {
        on.put(*token).await;
    }
    let mut dead = Vec::new();
    for (selection, dies) in cases {
        let revoked = on.store.revoke_subject(home(1), selection).await.expect("revoke");
        assert_eq!(revoked.count, dies.len() as u64, "{selection:?}");
        dead.extend(dies);
        for token in &tokens {
            let is_dead = dead.contains(&(token.subject, token.application, token.device));
            assert_eq!(
                on.live(*token).await.is_none(),
                is_dead,
                "{token:?} after {selection:?}"
            );
        }
    }
}

async fn r2_r3_thousands_of_slots_in_one_call(on: Harness) {
    let many = 12_000_u32;
    let issues = (0..many).map(|serial| {
        let mut issue = Sample {
            serial,
            device: if serial % 3 == 0 { 1 } else { 2 },
            ..Sample::default()
        }
        .issue();
        // As many slots as there are numbers, many of them with one end of life.
        issue.slot.0[..4].copy_from_slice(&serial.to_be_bytes());
        on.store.issue(issue)
    });
    for issued in futures::future::join_all(issues).await {
        assert!(matches!(issued, Ok(Issued::New { .. })));
    }
    let revoked = on.store.revoke_subject(home(1), of_device(1, 1)).await.expect("revoke");
    assert_eq!(revoked.count, u64::from(many / 3));
    let revoked = on
        .store
        .revoke_subject(home(1), Selection::default())
        .await
        .expect("revoke");
    assert_eq!(revoked.count, u64::from(many - many / 3));
    assert!(on.store.list(home(1), None, 10).await.expect("list").tokens.is_empty());
}

async fn r8_a_list_comes_in_pages(on: Harness) {
    // So far apart that a sixteenth of a lifetime leaves their order.
    let lifetime_ms = |serial: u8| 10_000 * 2_u32.pow(u32::from(serial / 3));
    let samples = (0..23_u8).map(|serial| Sample {
        scope: serial,
        serial: u32::from(serial),
        lifetime_ms: lifetime_ms(serial),
        device: serial % 3,
        ..Sample::default()
    });
    for sample in samples.rev() {
        on.put(sample).await;
    }
    let mut serials = Vec::new();
    let mut after = None;
    loop {
        let page = on.store.list(home(1), after, 5).await.expect("list");
        assert!(page.tokens.len() <= 5);
        serials.extend(page.tokens.iter().map(|token| token.record.digest[3]));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let thirds: Vec<u8> = serials.iter().map(|serial| serial / 3).collect();
    assert!(thirds.is_sorted(), "those that end first first: {serials:?}");
    serials.sort_unstable();
    assert_eq!(serials, (0..23).collect::<Vec<_>>(), "each once");
}

async fn a_ping_tells_the_stores_time(on: Harness) {
    let first = on.store.ping().await.expect("ping");
    on.put(Sample::default()).await;
    let second = on.store.ping().await.expect("ping");
    assert!(first > 1_700_000_000_000_000 && second >= first);
}

/// Lua writes such numbers with an exponent, which Redis does not read.
async fn a_long_round_lifetime_is_a_lifetime(on: Harness) {
    for sample in [Sample::default(), OPAQUE] {
        for lifetime_ms in [1_000_000_000, 4_000_000_000] {
            let issued = on.put(Sample { lifetime_ms, ..sample }).await;
            assert!(matches!(issued, Issued::New { .. } | Issued::Kept { .. }), "{issued:?}");
        }
        on.advance(Duration::from_secs(999_000));
        assert_eq!(on.live(sample).await, Some(1));
    }
}
