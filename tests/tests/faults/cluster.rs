//! Three primaries with a replica each, in a Cluster. A revocation waits for the replica.

use tokenbind_tests::RedisCluster;

use crate::plan::Plan;
use crate::rig::{Rig, Role};
use crate::run::{Struck, Topology, run};

/// The slots that are looked at to find a primary.
const SLOTS: u16 = 16_384;

struct Cluster(RedisCluster);

impl Cluster {
    /// A slot of any primary, and that primary.
    fn owner(&self, plan: &mut Plan) -> (u16, usize) {
        let owned: Vec<_> = (0..SLOTS)
            .step_by(1_024)
            .filter_map(|slot| Some((slot, self.0.owner(slot)?)))
            .collect();
        plan.one_of(&owned)
    }
}

impl Topology for Cluster {
    const NAME: &str = "cluster";
    const REPLICAS: u32 = 1;
    const FAULTS: &[&str] = &[
        "primary killed in Cluster",
        "primary frozen in Cluster",
        "failover ordered in Cluster",
        "replica killed in Cluster",
        "slots moved in Cluster",
    ];
    const FEW: usize = 3;

    fn redis_url(&self, _: Role, _: usize) -> String {
        self.0.url()
    }

    async fn whole(&self) {
        self.0.wait_until_whole();
    }

    async fn strike(&mut self, fault: &str, rig: &mut Rig, plan: &mut Plan) -> Struck {
        let start = rig.recorder.now();
        let (slot, primary) = self.owner(plan);
        match fault {
            "primary killed in Cluster" => {
                self.0.node(primary).kill();
                self.0.wait_for_owner_other_than(slot, primary);
                self.0.node(primary).restart();
            }
            "primary frozen in Cluster" => {
                self.0.node(primary).freeze();
                self.0.wait_for_owner_other_than(slot, primary);
                tokio::time::sleep(plan.length()).await;
                self.0.node(primary).thaw();
            }
            "failover ordered in Cluster" => {
                self.0.failover(primary);
                return Struck::default();
            }
            "replica killed in Cluster" => {
                let roles = self.0.nodes().iter().map(tokenbind_tests::RedisServer::role);
                let replica = roles.into_iter().position(|role| role.as_deref() == Some("slave"));
                let replica = replica.unwrap();
                self.0.node(replica).kill();
                tokio::time::sleep(plan.length()).await;
                self.0.node(replica).restart();
                return Struck::default();
            }
            "slots moved in Cluster" => {
                self.move_slots(slot, primary);
                return Struck::default();
            }
            _ => unreachable!("{fault}"),
        }
        Struck::lagging(start)
    }
}

impl Cluster {
    /// The slots of what is at hand: each of those that hold a key of the primary.
    fn move_slots(&self, slot: u16, primary: usize) {
        let other = (0..SLOTS)
            .step_by(1_024)
            .find_map(|other| self.0.owner(other).filter(|owner| *owner != primary));
        let mut connection = self.0.nodes()[primary].connection();
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        let slots: std::collections::BTreeSet<_> = keys.iter().map(|key| self.0.slot(key)).collect();
        for slot in slots.into_iter().take(8).chain([slot]) {
            self.0.move_slot(slot, other.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster() {
    run(|| Cluster(RedisCluster::start())).await;
}
