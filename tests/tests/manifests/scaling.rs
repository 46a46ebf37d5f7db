//! Probes, stopping, resources, autoscaling, disruption and spread.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container, items, name, port, selects, variable};
use crate::render::{OVERLAYS, overlay};

/// Of `500m`, `2`, `256Mi`, `2Gi`: thousandths of a processor, or bytes times a thousand.
fn quantity(value: &Value) -> u64 {
    let text = value.as_str().unwrap();
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "m" => 1,
        "" => 1_000,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        unit => panic!("{unit}"),
    };
    digits.parse::<u64>().unwrap() * factor
}

fn assert_probed(workload: &Value, tls: bool) {
    let (container, who) = (container(workload), name(workload));
    let probe = |kind: &str| &container[kind];
    for kind in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let probe = probe(kind);
        assert!(probe.is_object(), "{who} has no {kind}");
        for way in ["grpc", "httpGet", "tcpSocket"] {
            if let Some(way) = probe.get(way) {
                assert!(
                    port(container, &way["port"]).is_some(),
                    "{who}: {kind} asks a port that is not there"
                );
            }
        }
    }
    if who == "redis" {
        return;
    }
    let serving = port(container, &json!("grpc")).unwrap();
    let alive = json!({"path": "/livez", "port": "admin"});
    assert_eq!(probe("startupProbe")["httpGet"], alive, "{who}");
    assert_eq!(
        probe("livenessProbe")["httpGet"],
        alive,
        "{who}: liveness must not depend on Redis"
    );
    if tls {
        assert_eq!(
            probe("readinessProbe")["httpGet"],
            json!({"path": "/readyz", "port": "admin"}),
            "{who}"
        );
        assert!(
            probe("readinessProbe").get("grpc").is_none(),
            "{who}: the kubelet's gRPC probe speaks no TLS"
        );
    } else {
        assert_eq!(probe("readinessProbe")["grpc"], json!({"port": serving}), "{who}");
    }
}

#[test]
fn every_pod_is_probed() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for workload in cluster.workloads() {
            assert_probed(workload, cluster.of_kind("Certificate").next().is_some());
        }
    }
}

#[test]
fn stopping_has_the_time_that_it_takes() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for workload in cluster.ours() {
            let seconds = |variable_name| {
                variable(container(workload), variable_name)
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
            };
            let drain = seconds("TOKENBIND_DRAIN_SECONDS");
            let readiness = &container(workload)["readinessProbe"];
            let noticed =
                readiness["periodSeconds"].as_u64().unwrap() * readiness["failureThreshold"].as_u64().unwrap();
            assert!(
                drain > noticed,
                "{overlaid}: it drains for longer than its probe takes to notice"
            );
            let both = drain + seconds("TOKENBIND_SHUTDOWN_GRACE_SECONDS");
            let given = workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
                .as_u64()
                .unwrap();
            assert!(given > both, "{overlaid}: {given} s for {both} s");
        }
    }
}

#[test]
fn resources_are_bounded_and_make_sense() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for workload in cluster.workloads() {
            let (resources, who) = (&container(workload)["resources"], name(workload));
            for what in ["cpu", "memory"] {
                let (request, limit) = (&resources["requests"][what], &resources["limits"][what]);
                assert!(
                    quantity(request) > 0 && quantity(request) <= quantity(limit),
                    "{who}: {what}"
                );
            }
            let processors = quantity(&resources["limits"]["cpu"]);
            assert_eq!(processors % 1_000, 0, "{who}: workers are counted in whole processors");
        }
        let validator = container(cluster.get("Deployment", "validator"));
        let cache: u64 = variable(validator, "TOKENBIND_CACHE_BYTES").unwrap().parse().unwrap();
        let memory = quantity(&validator["resources"]["limits"]["memory"]) / 1_000;
        assert!(
            cache * 3 / 2 <= memory,
            "{overlaid}: {cache} bytes of cache in {memory}"
        );
        let issuer = container(cluster.get("Deployment", "issuer"));
        let hashing = quantity(&issuer["resources"]["limits"]["cpu"]) / 1_000 * (19 << 20);
        let memory = quantity(&issuer["resources"]["limits"]["memory"]) / 1_000;
        assert!(
            hashing * 2 <= memory,
            "{overlaid}: {hashing} bytes for passwords in {memory}"
        );
    }
}

fn assert_scaled(cluster: &Cluster, workload: &Value, least: u64) {
    let who = name(workload);
    let spec = &workload["spec"];
    assert!(
        spec.get("replicas").is_none(),
        "{who}: applying again would undo the autoscaler"
    );
    let scaler = &cluster.get("HorizontalPodAutoscaler", who)["spec"];
    assert_eq!(
        scaler["scaleTargetRef"],
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": who})
    );
    let (min, max) = (
        scaler["minReplicas"].as_u64().unwrap(),
        scaler["maxReplicas"].as_u64().unwrap(),
    );
    assert!(min >= least && max > min, "{who}: {min} to {max}");
    let metrics: Vec<_> = items(&scaler["metrics"]).collect();
    assert_eq!(metrics.len(), 1);
    assert_eq!(metrics[0]["resource"]["name"], "cpu");
    let down = scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
        .as_u64()
        .unwrap();
    let up = scaler["behavior"]["scaleUp"]["stabilizationWindowSeconds"]
        .as_u64()
        .unwrap();
    assert!(up <= 30 && down >= 600, "{who}: up after {up} s, down after {down} s");
    let labels = &spec["template"]["metadata"]["labels"];
    let budget = &cluster.get("PodDisruptionBudget", who)["spec"];
    assert!(
        selects(&budget["selector"], labels) && budget["maxUnavailable"] == 1,
        "{who}"
    );
    assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0, "{who}");
    let spread: Vec<_> = items(&spec["template"]["spec"]["topologySpreadConstraints"]).collect();
    let over: Vec<_> = spread
        .iter()
        .map(|constraint| constraint["topologyKey"].as_str().unwrap())
        .collect();
    assert_eq!(over, ["topology.kubernetes.io/zone", "kubernetes.io/hostname"], "{who}");
    assert!(
        spread
            .iter()
            .all(|constraint| selects(&constraint["labelSelector"], labels)),
        "{who}"
    );
}

#[test]
fn both_services_scale_and_survive_the_loss_of_a_node() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        let least = if overlaid == "development" { 1 } else { 2 };
        for workload in cluster.ours() {
            assert_scaled(&cluster, workload, least);
        }
    }
}
