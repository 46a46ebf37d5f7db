//! A primary and two replicas under three sentinels. A revocation waits for both replicas: whichever becomes the primary has it.

use tokenbind_tests::RedisSentinel;

use crate::plan::Plan;
use crate::rig::{Rig, Role};
use crate::run::{Struck, Topology, run};

struct Sentinel(RedisSentinel);

impl Topology for Sentinel {
    const NAME: &str = "sentinel";
    const REPLICAS: u32 = 2;
    const FAULTS: &[&str] = &[
        "primary killed under Sentinel",
        "primary frozen under Sentinel",
        "primary frozen for less than Sentinel notices",
        "failover ordered from Sentinel",
        "replica killed under Sentinel",
    ];
    const FEW: usize = 2;

    fn redis_url(&self, _: Role, _: usize) -> String {
        self.0.url()
    }

    async fn whole(&self) {
        self.0.wait_until_whole();
    }

    async fn strike(&mut self, fault: &str, rig: &mut Rig, plan: &mut Plan) -> Struck {
        let start = rig.recorder.now();
        let primary = self.0.wait_until_whole();
        match fault {
            "primary killed under Sentinel" => {
                self.0.node(primary).kill();
                self.0.wait_for_primary_other_than(primary);
                self.0.node(primary).restart();
            }
            "primary frozen under Sentinel" => {
                self.0.node(primary).freeze();
                self.0.wait_for_primary_other_than(primary);
                tokio::time::sleep(plan.length()).await;
                self.0.node(primary).thaw();
            }
            "primary frozen for less than Sentinel notices" => {
                self.0.node(primary).freeze();
                tokio::time::sleep(plan.length() / 4).await;
                self.0.node(primary).thaw();
            }
            "failover ordered from Sentinel" => {
                self.0.failover();
            }
            "replica killed under Sentinel" => {
                let replica = (primary + 1) % self.0.nodes().len();
                self.0.node(replica).kill();
                let from = rig.recorder.now();
                tokio::time::sleep(plan.length()).await;
                let without_replicas = Some((from, rig.recorder.now()));
                self.0.node(replica).restart();
                return Struck {
                    without_replicas,
                    ..Struck::default()
                };
            }
            _ => unreachable!("{fault}"),
        }
        // Also where it was frozen for a short time only: the machine may have been slow.
        Struck::lagging(start)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinel() {
    run(|| Sentinel(RedisSentinel::start())).await;
}
