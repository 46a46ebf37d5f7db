//! Who reaches whom, as a network plugin would judge it.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container, items, name, port, selects};
use crate::render::{OVERLAYS, overlay};

/// A pod in a namespace, or an address outside.
struct Peer<'a> {
    namespace: Value,
    pod: &'a Value,
}

const HERE: &str = "tokenbind";

fn inside(pod: &Value) -> Peer<'_> {
    Peer {
        namespace: json!({"kubernetes.io/metadata.name": HERE}),
        pod,
    }
}

/// Whether a rule's `from` or `to` has this peer. Both selectors must fit where both stand.
fn has(peers: &Value, peer: &Peer<'_>) -> bool {
    assert!(
        peers.as_array().is_some_and(|peers| !peers.is_empty()),
        "nobody is everybody: {peers}"
    );
    items(peers).any(|wanted| {
        if wanted.get("ipBlock").is_some() {
            return false;
        }
        let namespace = wanted.get("namespaceSelector");
        let here = peer.namespace["kubernetes.io/metadata.name"] == HERE;
        namespace.map_or(here, |selector| selects(selector, &peer.namespace))
            && wanted
                .get("podSelector")
                .is_none_or(|selector| selects(selector, peer.pod))
    })
}

/// Whether policies let `peer` at this port of the pods of `workload` (or the pods at that port of `peer`).
fn allowed(cluster: &Cluster, direction: &str, workload: &Value, peer: &Peer<'_>, wanted: u64) -> bool {
    let labels = &workload["spec"]["template"]["metadata"]["labels"];
    let (rules, peers) = match direction {
        "Ingress" => ("ingress", "from"),
        _ => ("egress", "to"),
    };
    let policies = cluster.of_kind("NetworkPolicy").map(|policy| &policy["spec"]);
    let policies: Vec<_> = policies
        .filter(|spec| {
            selects(&spec["podSelector"], labels) && items(&spec["policyTypes"]).any(|kind| kind == direction)
        })
        .collect();
    assert!(!policies.is_empty(), "{} has no policy", name(workload));
    policies.iter().flat_map(|spec| items(&spec[rules])).any(|rule| {
        let fits = items(&rule["ports"]).any(|entry| {
            let named = port(container(workload), &entry["port"]);
            named.or(entry["port"].as_u64()) == Some(wanted)
                || (direction == "Egress" && entry["port"] == "redis" && wanted == 6379)
        });
        assert!(rule.get("ports").is_some(), "every port: {rule}");
        fits && has(&rule[peers], peer)
    })
}

#[test]
fn only_declared_callers_reach_a_service() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        let declared = json!({"kubernetes.io/metadata.name": "shop", "tokenbind/callers": "true"});
        let undeclared = json!({"kubernetes.io/metadata.name": "shop"});
        for (service, port, own, other) in [
            ("issuer", 7001, "tokenbind/calls-issuer", "tokenbind/calls-validator"),
            ("validator", 7002, "tokenbind/calls-validator", "tokenbind/calls-issuer"),
        ] {
            let workload = cluster.get("Deployment", service);
            let reaches = |namespace: &Value, label: &str, port| {
                let pod = json!({ label: "true" });
                let peer = Peer {
                    namespace: namespace.clone(),
                    pod: &pod,
                };
                allowed(&cluster, "Ingress", workload, &peer, port)
            };
            assert!(reaches(&declared, own, port), "{overlaid}: {service}");
            assert!(
                !reaches(&undeclared, own, port),
                "{overlaid}: its namespace is not declared"
            );
            assert!(
                !reaches(&declared, other, port),
                "{overlaid}: it calls the other service"
            );
            assert!(!reaches(&declared, own, 9090), "{overlaid}: metrics are for Prometheus");
            for neighbour in cluster.workloads() {
                let labels = &neighbour["spec"]["template"]["metadata"]["labels"];
                assert!(
                    !allowed(&cluster, "Ingress", workload, &inside(labels), port),
                    "{overlaid}: {}",
                    name(neighbour)
                );
            }
        }
    }
}

#[test]
fn only_the_services_reach_redis_and_nothing_else() {
    let (_, cluster) = overlay("development");
    let redis = cluster.get("StatefulSet", "redis");
    let redis_labels = &redis["spec"]["template"]["metadata"]["labels"];
    let stranger = json!({"app.kubernetes.io/name": "stranger"});
    for workload in cluster.ours() {
        let labels = &workload["spec"]["template"]["metadata"]["labels"];
        assert!(allowed(&cluster, "Ingress", redis, &inside(labels), 6379));
        assert!(allowed(&cluster, "Egress", workload, &inside(redis_labels), 6379));
        assert!(!allowed(&cluster, "Egress", workload, &inside(&stranger), 6379));
        let elsewhere = Peer {
            namespace: json!({"kubernetes.io/metadata.name": "shop"}),
            pod: labels,
        };
        assert!(
            !allowed(&cluster, "Ingress", redis, &elsewhere, 6379),
            "in another namespace"
        );
    }
    assert!(!allowed(&cluster, "Ingress", redis, &inside(&stranger), 6379));
    let [issuer, validator] = cluster
        .ours()
        .map(|workload| &workload["spec"]["template"]["metadata"]["labels"]);
    assert!(
        !allowed(&cluster, "Egress", redis, &inside(issuer), 7001),
        "Redis calls nobody"
    );
    let [issuer_pods, _] = cluster.ours();
    assert!(
        !allowed(&cluster, "Egress", issuer_pods, &inside(validator), 7002),
        "services do not call each other"
    );
}

#[test]
fn a_redis_elsewhere_is_named_by_its_addresses() {
    for overlaid in ["production", "everything"] {
        let (_, cluster) = overlay(overlaid);
        let policy = cluster.get("NetworkPolicy", "services-reach-redis");
        let rules: Vec<_> = items(&policy["spec"]["egress"]).collect();
        assert_eq!(rules.len(), 1, "{overlaid}");
        assert_eq!(
            rules[0]["ports"],
            json!([{"protocol": "TCP", "port": 6379}, {"protocol": "TCP", "port": 26379}])
        );
        assert_eq!(
            rules[0]["to"],
            json!([{"ipBlock": {"cidr": "192.0.2.0/24"}}]),
            "an example that routes nowhere"
        );
    }
}

#[test]
fn what_no_policy_allows_is_denied() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        let all = cluster.get("NetworkPolicy", "default-deny");
        assert_eq!(
            all["spec"],
            json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
            "{overlaid}"
        );
        for policy in cluster.of_kind("NetworkPolicy") {
            let spec = &policy["spec"];
            for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
                for rule in items(&spec[rules]) {
                    assert!(
                        rule["ports"].as_array().is_some_and(|ports| !ports.is_empty()),
                        "{overlaid}: {policy}"
                    );
                    for peer in items(&rule[peers]) {
                        assert!(
                            peer["ipBlock"]["cidr"] != "0.0.0.0/0" && *peer != json!({}),
                            "{overlaid}: {policy}"
                        );
                    }
                    assert!(
                        rule[peers].as_array().is_some_and(|peers| !peers.is_empty()),
                        "{overlaid}: {policy}"
                    );
                }
            }
        }
    }
}

#[test]
fn prometheus_and_the_collector_have_their_way() {
    let (_, cluster) = overlay("everything");
    let peer = |name: &'static str| {
        (
            json!({"kubernetes.io/metadata.name": "monitoring"}),
            json!({"app.kubernetes.io/name": name}),
        )
    };
    let (namespace, pod) = peer("prometheus");
    let prometheus = Peer { namespace, pod: &pod };
    let (namespace, pod) = peer("otel-collector");
    let collector = Peer { namespace, pod: &pod };
    for workload in cluster.ours() {
        assert!(allowed(&cluster, "Ingress", workload, &prometheus, 9090));
        assert!(
            !allowed(&cluster, "Ingress", workload, &prometheus, 7001)
                && !allowed(&cluster, "Ingress", workload, &prometheus, 7002)
        );
        assert!(allowed(&cluster, "Egress", workload, &collector, 4317));
        assert!(!allowed(&cluster, "Ingress", workload, &collector, 9090));
    }
    let monitor = cluster.get("PodMonitor", "tokenbind");
    for workload in cluster.ours() {
        assert!(selects(
            &monitor["spec"]["selector"],
            &workload["spec"]["template"]["metadata"]["labels"]
        ));
    }
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], "admin");
}
