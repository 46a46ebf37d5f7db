//! A primary and a replica at one address, which is moved when the primary is lost. A revocation waits for the replica.

use std::time::Duration;

use tokenbind_tests::{DEADLINE, Flow, Proxy, RedisServer, Weather, wait_until};

use crate::plan::Plan;
use crate::rig::{Rig, Role};
use crate::run::{Struck, Topology, run};

/// By default a primary waits for further replicas before it begins.
const AT_ONCE: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

struct Pair {
    primary: RedisServer,
    replica: RedisServer,
    /// Where the services find the primary.
    address: Proxy,
    /// Where the replica finds it.
    link: Proxy,
}

impl Pair {
    fn start() -> Self {
        let (primary, replica) = (RedisServer::start_with(&AT_ONCE), RedisServer::start_with(&AT_ONCE));
        let (address, link) = (Proxy::start(primary.port()), Proxy::start(primary.port()));
        follow(&replica, link.port());
        Self {
            primary,
            replica,
            address,
            link,
        }
    }

    /// The replica is the primary from now on, and another one follows it.
    fn move_over(&mut self) {
        self.address.set(Weather::cut());
        let promote = redis::cmd("REPLICAOF").arg(&["NO", "ONE"]).to_owned();
        promote.exec(&mut self.replica.connection()).unwrap();
        self.address.retarget(self.replica.port());
        self.address.calm();
        // A primary that goes on when its address has moved is not asked any more.
        self.primary.kill();
        let replica = RedisServer::start_with(&AT_ONCE);
        self.link.set(Weather::cut());
        self.link.retarget(self.replica.port());
        self.link.calm();
        follow(&replica, self.link.port());
        self.primary = std::mem::replace(&mut self.replica, replica);
    }
}

/// Makes it the replica of whoever is behind this port.
fn follow(replica: &RedisServer, port: u16) {
    let mut connection = replica.connection();
    let follow = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).to_owned();
    follow.exec(&mut connection).unwrap();
}

impl Topology for Pair {
    const NAME: &str = "pair";
    const REPLICAS: u32 = 1;
    const FAULTS: &[&str] = &[
        "primary killed",
        "primary frozen, address moved",
        "replica cut off",
        "replica cut off, then primary killed",
        "replica frozen",
    ];
    const FEW: usize = 5;

    fn redis_url(&self, _: Role, _: usize) -> String {
        self.address.url()
    }

    async fn whole(&self) {
        wait_until("the replica follows", DEADLINE, async || {
            let info = self.replica.info("replication");
            info.contains("master_link_status:up").then_some(())
        })
        .await;
    }

    async fn strike(&mut self, fault: &str, rig: &mut Rig, plan: &mut Plan) -> Struck {
        let start = rig.recorder.now();
        let mut struck = Struck::default();
        match fault {
            "primary killed" => {
                self.primary.kill();
                tokio::time::sleep(plan.length() / 3).await;
                self.move_over();
                struck = Struck::lagging(start);
            }
            "primary frozen, address moved" => {
                self.primary.freeze();
                tokio::time::sleep(plan.length()).await;
                self.move_over();
                struck = Struck::lagging(start);
            }
            "replica cut off" => {
                let weather = plan.one_of(&[
                    Weather::deaf(),
                    Weather::mute(),
                    Weather::both(Flow::Hold),
                    Weather::cut(),
                ]);
                self.link.set(weather);
                let from = rig.recorder.now();
                tokio::time::sleep(longer(plan)).await;
                struck.without_replicas = Some((from, rig.recorder.now()));
                self.link.calm();
            }
            "replica cut off, then primary killed" => {
                self.link.set(Weather::both(Flow::Hold));
                let from = rig.recorder.now();
                tokio::time::sleep(longer(plan)).await;
                struck = Struck::lagging(start);
                struck.without_replicas = Some((from, rig.recorder.now()));
                self.primary.kill();
                self.move_over();
            }
            "replica frozen" => {
                self.replica.freeze();
                let from = rig.recorder.now();
                tokio::time::sleep(longer(plan)).await;
                struck.without_replicas = Some((from, rig.recorder.now()));
                self.replica.thaw();
            }
            _ => unreachable!("{fault}"),
        }
        struck
    }
}

/// Long enough for revocations to wait in vain.
fn longer(plan: &mut Plan) -> Duration {
    Duration::from_millis(500) + plan.length()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pair() {
    run(Pair::start).await;
}
