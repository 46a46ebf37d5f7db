//! One Redis that keeps what it acknowledged, each service behind a link of its own.

use std::time::Duration;

use futures::future::join_all;
use tokenbind_tests::history::{Gentleness, Loss, Slot};
use tokenbind_tests::{DEADLINE, Flow, Proxy, RedisServer, Weather};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::load::calls::{Caller, Held};
use crate::plan::Plan;
use crate::rig::{APPLICATIONS, CLOCK, KEY_WAIT, LEASE, MORTAL, REPLICAS, Rig, Role, USERS};
use crate::run::{Struck, Topology, run};

/// How many tokens end while a validator hears nothing, and the first of their devices: nobody else has them.
const KEPT: usize = 8;
const KEPT_DEVICE: usize = 2_000;
/// In such a time is answered what a validator keeps.
const ANSWERED: Duration = Duration::from_millis(300);

struct Standalone {
    redis: RedisServer,
    links: Vec<(Role, usize, Proxy)>,
}

impl Standalone {
    fn start() -> Self {
        let redis = RedisServer::start_durable();
        let numbers = (0..REPLICAS).flat_map(|number| [(Role::Issuer, number), (Role::Validator, number)]);
        let numbers = numbers.chain([(Role::Validator, MORTAL)]);
        let links = numbers.map(|(role, number)| (role, number, Proxy::start(redis.port())));
        Self {
            links: links.collect(),
            redis,
        }
    }

    fn link(&self, role: Role, number: usize) -> &Proxy {
        let found = self.links.iter().find(|link| (link.0, link.1) == (role, number));
        &found.unwrap().2
    }

    fn configure(&self, name: &str, value: &str) {
        let set = redis::cmd("CONFIG")
            .arg(&["SET", name, value])
            .exec(&mut self.redis.connection());
        set.unwrap();
    }

    /// Everything on the disk is gone as well.
    fn empty(&mut self) {
        redis::cmd("FLUSHALL").exec(&mut self.redis.connection()).unwrap();
        self.redis.kill();
    }

    async fn cut_off(&self, role: Role, plan: &mut Plan) {
        let weather = plan.one_of(&[
            Weather::deaf(),
            Weather::mute(),
            Weather::both(Flow::Hold),
            Weather::cut(),
            Weather::deaf().of_tracking(),
            Weather::mute().of_tracking(),
        ]);
        let link = self.link(role, plan.one_of(&[0, 1]));
        link.set(weather);
        pass(plan.silence()).await;
        link.calm();
    }

    /// A validator hears nothing for longer than a lease: no answer, or no change alone while whatever it reads is answered, which
    /// lets it learn of an end before it is told. What it keeps ends at once.
    async fn silence(&self, told_alone: bool, rig: &Rig, plan: &mut Plan) {
        let weather = plan.one_of(&[Weather::mute(), Weather::both(Flow::Hold)]);
        let (weather, leases) = if told_alone {
            (weather.of_tracking(), 1)
        } else {
            (weather, 2)
        };
        let (validator, length) = (plan.one_of(&[0, 1]), leases * LEASE + plan.length());
        let (caller, link) = (rig.caller(), self.link(Role::Validator, validator));
        let kept = keep_some(&caller, validator).await;
        link.set(weather);
        join_all(kept.iter().map(async |held| {
            if caller.revoke_token(held, 0).await && told_alone {
                caller.ask_again(&held.access, validator).await;
            }
        }))
        .await;
        pass(length).await;
        let asked = join_all(kept.iter().map(|held| caller.validate(&held.access, validator, false)));
        // What is not kept any more is not answered before.
        tokio::join!(asked, async {
            pass(ANSWERED).await;
            link.calm();
        });
    }

    /// As for one, for everybody.
    async fn cut_all_off(&self, plan: &mut Plan) {
        let weather = plan.one_of(&[
            Weather::deaf(),
            Weather::mute(),
            Weather::both(Flow::Hold),
            Weather::cut(),
        ]);
        for (_, _, link) in &self.links {
            link.set(weather);
        }
        pass(plan.silence()).await;
        for (_, _, link) in &self.links {
            link.calm();
        }
    }

    async fn close_connections(&self, plan: &mut Plan) {
        for _ in 0..5 {
            let kill = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).to_owned();
            kill.exec(&mut self.redis.connection()).unwrap();
            pass(plan.length() / 5).await;
        }
    }

    async fn start_empty(&mut self, rig: &mut Rig, plan: &mut Plan, services_too: bool) {
        self.empty();
        if services_too {
            for service in &mut rig.services {
                service.process.kill();
            }
        }
        pass(plan.length() / 2).await;
        self.redis.restart();
        if services_too {
            for service in &mut rig.services {
                service.start_again();
            }
        }
    }

    /// There is no room for anything more.
    async fn fill(&self, plan: &mut Plan) {
        self.configure("maxmemory", "1");
        pass(plan.length()).await;
        self.configure("maxmemory", "0");
    }

    /// Keys are dropped at random. What a catalog declares may be among them, so issuers are started again, as operators are
    /// told to: they publish it.
    async fn evict(&self, rig: &mut Rig, plan: &mut Plan) {
        self.configure("maxmemory-policy", "allkeys-random");
        let info = self.redis.info("memory");
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        let used: u64 = used.unwrap().trim().parse().unwrap();
        self.configure("maxmemory", &(used - (64 << 10)).to_string());
        pass(plan.length()).await;
        self.configure("maxmemory", "0");
        self.configure("maxmemory-policy", "noeviction");
        for number in 0..REPLICAS {
            rig.service(Role::Issuer, number).process.kill();
            rig.start_again(Role::Issuer, number);
        }
    }
}

impl Topology for Standalone {
    const NAME: &str = "standalone";
    const REPLICAS: u32 = 0;
    const SECURED: bool = true;
    const FAULTS: &[&str] = &[
        "Redis killed",
        "Redis frozen",
        "an issuer cut off",
        "a validator cut off",
        "a validator told nothing",
        "a validator left without answers",
        "everybody cut off",
        "connections closed",
        "Redis restarted empty",
        "everything restarted empty",
        "store full",
        "eviction policy changed",
        "validators killed",
        "an issuer killed",
        "issuers stopped",
        "validators stopped",
        "keys rotated",
        "certificates replaced",
        "a clock an hour off",
    ];
    const FEW: usize = 19;

    fn redis_url(&self, role: Role, number: usize) -> String {
        self.link(role, number).url()
    }

    async fn strike(&mut self, fault: &str, rig: &mut Rig, plan: &mut Plan) -> Struck {
        match fault {
            "Redis killed" => {
                self.redis.kill();
                pass(plan.length()).await;
                self.redis.restart();
            }
            "Redis frozen" => {
                self.redis.freeze();
                pass(plan.length()).await;
                self.redis.thaw();
            }
            "an issuer cut off" => self.cut_off(Role::Issuer, plan).await,
            "a validator cut off" => self.cut_off(Role::Validator, plan).await,
            "a validator told nothing" => self.silence(true, rig, plan).await,
            "a validator left without answers" => self.silence(false, rig, plan).await,
            "everybody cut off" => self.cut_all_off(plan).await,
            "connections closed" => self.close_connections(plan).await,
            "Redis restarted empty" => {
                self.start_empty(rig, plan, false).await;
                return Struck::losing(Loss::Everything);
            }
            "everything restarted empty" => {
                self.start_empty(rig, plan, true).await;
                return Struck::losing(Loss::Everything);
            }
            "store full" => {
                self.fill(plan).await;
                return Struck {
                    gentleness: Gentleness::NothingIssued,
                    ..Struck::default()
                };
            }
            "eviction policy changed" => {
                self.evict(rig, plan).await;
                return Struck::losing(Loss::AnyKey);
            }
            "validators killed" => kill_in_turn(rig, plan, Role::Validator).await,
            "an issuer killed" => kill_in_turn(rig, plan, Role::Issuer).await,
            "issuers stopped" => return stop_in_turn(rig, Role::Issuer).await,
            "validators stopped" => return stop_in_turn(rig, Role::Validator).await,
            "keys rotated" => return rotate_keys(rig).await,
            "certificates replaced" => return replace_certificates(rig, plan).await,
            "a clock an hour off" => {
                set_clock(rig, plan).await;
                return Struck::losing(Loss::Misjudged);
            }
            _ => unreachable!("{fault}"),
        }
        Struck::default()
    }
}

/// Tokens of the applications themselves that a validator has allowed, so that it keeps them.
async fn keep_some(caller: &Caller, validator: usize) -> Vec<Held> {
    let slots = (0..KEPT).map(|number| Slot {
        application: number % APPLICATIONS.len(),
        subject: USERS + number % APPLICATIONS.len(),
        device: KEPT_DEVICE + number,
    });
    let kept = join_all(slots.map(async |slot| {
        let held = caller.issue(slot, 0).await?;
        let good = caller.validate(&held.access, validator, false).await;
        good.filter(|good| *good).map(|_| held)
    }));
    kept.await.into_iter().flatten().collect()
}

/// `kill -9` of one after the other, in the middle of whatever they do.
async fn kill_in_turn(rig: &mut Rig, plan: &mut Plan, role: Role) {
    for number in 0..REPLICAS {
        rig.service(role, number).process.kill();
        pass(plan.length() / 2).await;
        rig.start_again(role, number);
        rig.ready().await;
    }
}

/// SIGTERM, one after the other: nobody notices.
async fn stop_in_turn(rig: &mut Rig, role: Role) -> Struck {
    for number in 0..REPLICAS {
        let process = &mut rig.service(role, number).process;
        process.terminate();
        assert!(process.wait(DEADLINE).await.success());
        rig.start_again(role, number);
        rig.ready().await;
    }
    Struck::gentle()
}

/// A new signing key and a new opaque key, until they are used.
async fn rotate_keys(rig: &Rig) -> Struck {
    rig.installation.put_new_keys();
    // Looked for once a second, and then published for a while.
    pass(KEY_WAIT + Duration::from_millis(1_500)).await;
    Struck::gentle()
}

async fn replace_certificates(rig: &mut Rig, plan: &mut Plan) -> Struck {
    rig.secured.as_ref().unwrap().certify();
    pass(Duration::from_secs(1) + plan.length()).await;
    for role in [Role::Issuer, Role::Validator] {
        for number in 0..REPLICAS {
            rig.reconnect(role, number);
        }
    }
    Struck::gentle()
}

/// The clocks of an issuer and of a validator are wrong until both have noticed, and a while longer.
async fn set_clock(rig: &Rig, plan: &mut Plan) {
    let secured = rig.secured.as_ref().unwrap();
    secured.set_clock(plan.one_of(&["+3600s", "-3600s"]));
    for role in [Role::Issuer, Role::Validator] {
        rig.says(role, CLOCK, ServingStatus::NotServing).await;
    }
    pass(plan.length()).await;
    secured.set_clock("+0s");
}

/// The fault lasts. Nothing can be waited for: nothing happens.
async fn pass(length: Duration) {
    tokio::time::sleep(length).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standalone() {
    run(Standalone::start).await;
}
