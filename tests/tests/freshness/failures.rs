//! Redis is frozen, cut off, killed, emptied, or short of memory for what it has to tell.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{App, DEADLINE, Flow, RedisServer, Weather, wait_until};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::race::{BOTH, End, WORKERS, race};
use crate::rig::{LEASE, Rig, Validator};
use crate::seen::{Seen, about, ask, ask_until};

/// Tokens of which a validator knows the facts.
async fn known(rig: &Rig, validator: &Validator, name: &str) -> Vec<(App, String)> {
    let tokens = rig.tokens(name, 8).await;
    for (_, token) in &tokens {
        use_until_kept(rig, validator, token).await;
    }
    tokens
}

async fn use_until_kept(rig: &Rig, validator: &Validator, token: &str) {
    ask_until(&validator.client, &rig.api, token, DEADLINE, |seen| {
        seen.allowed() && seen.is_kept()
    })
    .await;
}

/// Asks about all tokens at a time until `last` is so for each of them.
async fn watch(rig: &Rig, validator: &Validator, tokens: &[(App, String)], last: fn(&Seen) -> bool) -> Vec<Seen> {
    let asked = tokens
        .iter()
        .map(|(_, token)| ask_until(&validator.client, &rig.api, token, DEADLINE, last));
    join_all(asked).await.into_iter().flatten().collect()
}

/// Nothing was allowed for longer than the lease since `from`; answers what was allowed at all.
#[track_caller]
fn assert_within_lease(seen: &[Seen], from: Instant) -> usize {
    let allowed = seen.iter().filter(|seen| seen.allowed());
    for seen in allowed.clone() {
        let late = seen.started.saturating_duration_since(from);
        assert!(late <= LEASE, "allowed {late:?} after");
    }
    allowed.count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_is_noticed_within_the_lease() {
    let rig = Rig::start(1, &[false]).await;
    let validator = &rig.validators[0];
    for round in 0..3 {
        let tokens = known(&rig, validator, &format!("round-{round}")).await;
        rig.redis.freeze();
        let frozen = Instant::now();
        let seen = watch(&rig, validator, &tokens, Seen::unavailable).await;
        assert_within_lease(&seen, frozen);
        assert!(seen.iter().all(|seen| seen.allowed() || seen.unavailable()));
        validator.wait_for_health(ServingStatus::NotServing).await;
        rig.redis.thaw();
        validator.wait_for_health(ServingStatus::Serving).await;
        for (_, token) in &tokens {
            use_until_kept(&rig, validator, token).await;
        }
    }
}

/// Some tokens end while the validator cannot hear of it, the others do not; then it can again.
async fn cut_off(rig: &Rig, weather: Weather) {
    let validator = &rig.validators[0];
    let tokens = known(rig, validator, &format!("{weather:?}")).await;
    let (ending, staying) = tokens.split_at(4);
    validator.proxy().set(weather);
    let set = Instant::now();
    join_all(
        ending
            .iter()
            .map(async |(app, token)| rig.revoke_token(app, token).await.unwrap()),
    )
    .await;
    let ended = Instant::now();
    // Where reads pass, they tell; where they do not, nothing can be told.
    let reads_pass = weather.only_tracking;
    let (of_ending, of_staying) = if reads_pass {
        let read = |seen: &Seen| seen.allowed() && !seen.is_kept();
        tokio::join!(
            watch(rig, validator, ending, Seen::denied),
            watch(rig, validator, staying, read)
        )
    } else {
        tokio::join!(
            watch(rig, validator, ending, Seen::unavailable),
            watch(rig, validator, staying, Seen::unavailable)
        )
    };
    assert_within_lease(&of_ending, ended);
    if !reads_pass {
        assert_within_lease(&of_staying, set);
    }
    validator.wait_for_health(ServingStatus::NotServing).await;
    for (_, token) in ending {
        let seen = ask(&validator.client, &rig.api, about(token)).await;
        assert!(!seen.allowed(), "{weather:?}: {seen:?}");
    }
    validator.proxy().calm();
    validator.wait_for_health(ServingStatus::Serving).await;
    for (_, token) in ending {
        let seen = watch_one(rig, validator, token, Seen::denied).await;
        assert!(!seen.iter().any(Seen::allowed), "{weather:?}");
    }
    for (_, token) in staying {
        use_until_kept(rig, validator, token).await;
    }
}

async fn watch_one(rig: &Rig, validator: &Validator, token: &str, last: fn(&Seen) -> bool) -> Vec<Seen> {
    ask_until(&validator.client, &rig.api, token, DEADLINE, last).await
}

macro_rules! cut_off {
    ($($name:ident: $weather:expr),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let rig = Rig::start(1, &[true]).await;
            // Twice: what broke once must not stay broken in part.
            for _ in 0..2 {
                cut_off(&rig, $weather).await;
            }
        })+
    };
}

cut_off!(
    nothing_gets_to_redis: Weather::deaf(),
    nothing_gets_from_redis: Weather::mute(),
    nothing_passes: Weather::both(Flow::Hold),
    every_connection_is_closed: Weather::cut(),
    heartbeats_do_not_get_to_redis: Weather::deaf().of_tracking(),
    changes_do_not_get_from_redis: Weather::mute().of_tracking(),
);

/// Whether it kept its data or not: what it lost is dead, what it kept is good, and nobody starts a validator again.
async fn restarted(redis: RedisServer, durable: bool) {
    let mut rig = Rig::over(redis, 1, &[false]).await;
    let tokens = known(&rig, &rig.validators[0], "before").await;
    rig.redis.kill();
    let killed = Instant::now();
    let seen = watch(&rig, &rig.validators[0], &tokens, Seen::unavailable).await;
    assert_within_lease(&seen, killed);
    rig.validators[0].wait_for_health(ServingStatus::NotServing).await;
    rig.redis.restart();
    let validator = &rig.validators[0];
    validator.wait_for_health(ServingStatus::Serving).await;
    // An empty Redis gets its catalog from the issuer again.
    let token = wait_until("a token is issued", DEADLINE, async || {
        let request = tokenbind_tests::Ask::bound_to(tokenbind_tests::client_credentials(), "after");
        let issued = rig.issuer().issue(&Rig::app(TokenFormat::Jwt, 0), request).await;
        Some(issued.ok()?.access_token)
    })
    .await;
    use_until_kept(&rig, validator, &token).await;
    for (_, token) in &tokens {
        if durable {
            use_until_kept(&rig, validator, token).await;
        } else {
            let seen = watch_one(&rig, validator, token, Seen::denied).await;
            assert!(!seen.iter().any(Seen::allowed));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_has_no_live_token() {
    restarted(RedisServer::start(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_as_it_was_has_its_tokens() {
    restarted(RedisServer::start_durable(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_ends_every_token() {
    for flush in ["FLUSHALL", "FLUSHDB"] {
        let rig = Rig::start(1, &[false, false]).await;
        let tokens = known(&rig, &rig.validators[0], "before").await;
        for (_, token) in &tokens {
            use_until_kept(&rig, &rig.validators[1], token).await;
        }
        redis::cmd(flush).exec(&mut rig.redis.connection()).unwrap();
        let flushed = Instant::now();
        // The resource is gone as well, until an issuer has published its catalog again.
        for validator in &rig.validators {
            let seen = watch(&rig, validator, &tokens, Seen::denied).await;
            assert_within_lease(&seen, flushed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_connections_are_made_again() {
    let rig = Rig::start(1, &[false, false]).await;
    let mut redis = rig.redis.connection();
    for round in 0..20 {
        let tokens = known(&rig, &rig.validators[0], &format!("round-{round}")).await;
        let kill = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).to_owned();
        kill.exec(&mut redis).unwrap();
        // The issuer's connection is closed, too, so it may have to be asked again; revoking what is revoked is no error.
        let revoked = join_all(tokens.iter().map(async |(app, token)| {
            wait_until("it is revoked", DEADLINE, async || {
                rig.revoke_token(app, token).await.ok()
            })
            .await
        }));
        let watched = join_all(
            rig.validators
                .iter()
                .map(|validator| watch(&rig, validator, &tokens, Seen::denied)),
        );
        let ((_, ended), seen) = tokio::join!(async { (revoked.await, Instant::now()) }, watched);
        for seen in &seen {
            assert_within_lease(seen, ended);
        }
        for validator in &rig.validators {
            for (_, token) in &tokens {
                let seen = watch_one(&rig, validator, token, Seen::denied).await;
                assert!(!seen.iter().any(Seen::allowed));
            }
        }
    }
}

const ENDS: [End; 4] = [End::Token, End::Binding, End::Subject, End::Application];

/// Redis forgets what it told to whom, and then tells of keys that did not change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_one_key_costs_reads_alone() {
    let rig = Rig::start(WORKERS, &[false, false]).await;
    let configure = redis::cmd("CONFIG")
        .arg(&["SET", "tracking-table-max-keys", "1"])
        .to_owned();
    configure.exec(&mut rig.redis.connection()).unwrap();
    race(&rig, &BOTH, &ENDS, 160).await;
}

/// Sessions end in the middle of reads and changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_end_all_the_time_cost_reads_alone() {
    let rig = Rig::start(WORKERS, &[false, false]).await;
    let mut redis = rig.redis.connection();
    let mut killed = 0;
    let killing = async {
        loop {
            killed += kill_tracking(&mut redis);
            tokio::time::sleep(Duration::from_millis(70)).await;
        }
    };
    tokio::select! {
        () = killing => {}
        () = race(&rig, &BOTH, &ENDS, 160) => {}
    }
    assert!(killed > 0);
}

/// Closes the connections on which Redis tells changes, and no other.
fn kill_tracking(redis: &mut redis::Connection) -> usize {
    let clients: String = redis::cmd("CLIENT").arg("LIST").query(redis).unwrap();
    let field = |line: &str, name: &str| {
        let found = line
            .split(' ')
            .find_map(|field| field.strip_prefix(name).map(str::to_owned));
        found.unwrap_or_default()
    };
    let tracking = clients.lines().filter(|line| field(line, "flags=").contains('t'));
    tracking
        .map(|line| {
            let kill = redis::cmd("CLIENT")
                .arg(&["KILL", "ID", &field(line, "id=")])
                .to_owned();
            kill.query::<usize>(redis).unwrap()
        })
        .sum()
}
