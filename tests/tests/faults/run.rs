//! A run: load, faults in the middle of it, and the judgement.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokenbind_tests::history::{Fault, Gentleness, Loss, Micros, Promises, Recorder, Slot};
use tokenbind_tests::wait_until;
use tokio::sync::Semaphore;

use crate::load::Load;
use crate::plagues::{Dose, Plagues};
use crate::plan::Plan;
use crate::report::{judge, keep, say};
use crate::rig::{APPLICATIONS, PATIENCE, REPLICAS, Rig, Role, USERS};
use crate::secured::Secured;

/// One at a time: runs would take each other's processors. More where this says so, because most of a long run is waiting.
static AT_A_TIME: LazyLock<Semaphore> = LazyLock::new(|| {
    let runs = std::env::var("TOKENBIND_TEST_FAULT_RUNS").ok();
    Semaphore::new(runs.map_or(1, |runs| runs.parse().expect("TOKENBIND_TEST_FAULT_RUNS is a number")))
});
/// How many calls are answered between two faults.
const BETWEEN: usize = 150;

/// What was done.
#[derive(Default)]
pub(crate) struct Struck {
    pub(crate) loss: Loss,
    pub(crate) gentleness: Gentleness,
    pub(crate) without_replicas: Option<(Micros, Micros)>,
}

impl Struck {
    /// What replicas may not have heard of yet is lost.
    pub(crate) fn lagging(since: Micros) -> Self {
        Self {
            loss: Loss::SinceUnreplicated(since.saturating_sub(LAG)),
            ..Self::default()
        }
    }

    /// Nobody notices.
    pub(crate) fn gentle() -> Self {
        Self {
            gentleness: Gentleness::Gentle,
            ..Self::default()
        }
    }

    pub(crate) fn losing(loss: Loss) -> Self {
        Self {
            loss,
            ..Self::default()
        }
    }
}

/// How far a replica is behind at most that nothing was done to.
const LAG: Micros = 1_000_000;

/// A store with the faults that it can have.
pub(crate) trait Topology {
    /// What it is called.
    const NAME: &str;
    /// How many replicas must have a revocation.
    const REPLICAS: u32;
    /// Whether services speak TLS and can have wrong clocks.
    const SECURED: bool = false;
    /// The kinds of its faults.
    const FAULTS: &[&str];
    /// How many of them a run has that shall be short.
    const FEW: usize;

    /// Where a service finds it.
    fn redis_url(&self, role: Role, number: usize) -> String;

    /// Waits until nothing is missing.
    async fn whole(&self) {}

    /// Does this, and makes it good again.
    async fn strike(&mut self, fault: &str, rig: &mut Rig, plan: &mut Plan) -> Struck;
}

/// Starts services over the store, and does one thing after another to both.
pub(crate) async fn run<T: Topology>(start: impl FnOnce() -> T) {
    let _one = AT_A_TIME.acquire().await.unwrap();
    let mut plan = Plan::read();
    let schedule = plan.schedule(T::FAULTS, T::FEW);
    if schedule.is_empty() {
        return;
    }
    let dose = match (plan.is_long(), T::SECURED) {
        (true, _) => Dose::Whole,
        (false, true) => Dose::Short,
        (false, false) => Dose::None,
    };
    let mut topology = start();
    topology.whole().await;
    let mut rig = Rig::start(
        |role, number| topology.redis_url(role, number),
        T::REPLICAS,
        T::SECURED.then(Secured::new),
        dose != Dose::None,
    )
    .await;
    let _kept = Kept {
        name: T::NAME,
        seed: plan.seed,
        recorder: Arc::clone(&rig.recorder),
        promises: rig.promises,
    };
    let load = Load::start(&rig, plan.seed);
    let plagues = Plagues::start(&mut rig, dose);
    let mut recovery = Duration::ZERO;
    working(&rig).await;
    for fault in schedule {
        between(&rig).await;
        let start = rig.recorder.now();
        say(T::NAME, plan.seed, start, fault);
        let struck = topology.strike(fault, &mut rig, &mut plan).await;
        topology.whole().await;
        let healed = rig.recorder.now();
        rig.ready().await;
        working(&rig).await;
        let end = rig.recorder.now();
        recovery = recovery.max(Duration::from_micros(end - healed));
        rig.recorder.fault(Fault {
            fault: fault.to_owned(),
            start,
            end,
            loss: struck.loss,
            gentleness: struck.gentleness,
            without_replicas: struck.without_replicas,
        });
    }
    between(&rig).await;
    // Connections that the plagues have made are theirs.
    load.stop();
    if let Some(plagues) = plagues {
        plagues.stop();
    }
    judge(T::NAME, plan.seed, &rig.recorder.history(rig.promises), recovery);
}

/// The history of a run that does not come to its end.
struct Kept {
    name: &'static str,
    seed: u64,
    recorder: Arc<Recorder>,
    promises: Promises,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if std::thread::panicking() {
            keep(self.name, self.seed, &self.recorder.history(self.promises));
        }
    }
}

/// Waits while the load goes on.
async fn between(rig: &Rig) {
    let enough = rig.recorder.answered() + BETWEEN;
    wait_until("the load goes on", PATIENCE, async || {
        (rig.recorder.answered() >= enough).then_some(())
    })
    .await;
}

/// Waits until every issuer issues what every validator allows, and revokes it again.
async fn working(rig: &Rig) {
    let caller = rig.caller();
    for issuer in 0..REPLICAS {
        for application in 0..APPLICATIONS.len() {
            let slot = Slot {
                application,
                subject: USERS + application,
                device: 1_000 + issuer,
            };
            wait_until("a token is issued, allowed and revoked", PATIENCE, async || {
                let token = caller.issue(slot, issuer).await?;
                for validator in 0..REPLICAS {
                    caller
                        .validate(&token.access, validator, false)
                        .await
                        .filter(|good| *good)?;
                }
                caller.revoke_token(&token, issuer).await.then_some(())
            })
            .await;
        }
    }
}
