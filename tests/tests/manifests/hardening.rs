//! What a pod may do: the restricted Pod Security Standard and a little more, and no right to the cluster's API.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container, entries, items, name};
use crate::render::{OVERLAYS, overlay};

/// Everything that is rendered; a kind that grants rights (Role, `ClusterRoleBinding`, …) is none of them, nor is a Secret.
const KINDS: [&str; 11] = [
    "Namespace",
    "ServiceAccount",
    "ConfigMap",
    "Service",
    "Deployment",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "Certificate",
    "PodMonitor",
];

/// What of a pod's specification is used. Another field (hostNetwork, hostPID, …) needs a thought first.
const POD_FIELDS: [&str; 9] = [
    "serviceAccountName",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "terminationGracePeriodSeconds",
    "securityContext",
    "topologySpreadConstraints",
    "containers",
    "volumes",
    "restartPolicy",
];

fn assert_restricted(cluster: &Cluster, workload: &Value) {
    let pod = &workload["spec"]["template"]["spec"];
    let who = name(workload);
    for (field, _) in entries(pod) {
        assert!(POD_FIELDS.contains(&field), "{who}: {field}");
    }
    assert_eq!(pod["automountServiceAccountToken"], false, "{who}");
    assert_eq!(pod["enableServiceLinks"], false, "{who}");
    let context = &pod["securityContext"];
    assert_eq!(context["runAsNonRoot"], true, "{who}");
    for id in ["runAsUser", "runAsGroup", "fsGroup"] {
        assert!(context[id].as_u64().unwrap() >= 10_000, "{who}: {id}");
    }
    assert_eq!(context["seccompProfile"], json!({"type": "RuntimeDefault"}), "{who}");
    let own = &container(workload)["securityContext"];
    let expected = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(*own, expected, "{who}");
    let account = cluster.get("ServiceAccount", pod["serviceAccountName"].as_str().unwrap());
    assert_eq!(account["automountServiceAccountToken"], false, "{who}");
    for volume in items(&pod["volumes"]) {
        let kinds: Vec<_> = entries(volume)
            .map(|(key, _)| key)
            .filter(|key| *key != "name")
            .collect();
        assert!(
            matches!(kinds[..], ["configMap" | "secret" | "emptyDir"]),
            "{who}: {volume}"
        );
        if let Some(secret) = volume.get("secret") {
            assert_eq!(secret["defaultMode"], 0o440, "{who}: others may read {secret}");
        }
    }
    for mount in items(&container(workload)["volumeMounts"]) {
        let temporary =
            items(&pod["volumes"]).any(|volume| volume["name"] == mount["name"] && volume.get("emptyDir").is_some());
        assert!(temporary || mount["readOnly"] == true, "{who}: {mount}");
    }
}

#[test]
fn every_pod_is_restricted() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for workload in cluster.workloads() {
            assert_restricted(&cluster, workload);
        }
        let namespaces: Vec<_> = cluster.of_kind("Namespace").collect();
        assert_eq!(namespaces.len(), 1, "{overlaid}");
        for mode in ["enforce", "audit", "warn"] {
            let label = &namespaces[0]["metadata"]["labels"][format!("pod-security.kubernetes.io/{mode}")];
            assert_eq!(*label, "restricted", "{overlaid}: {mode}");
        }
    }
}

#[test]
fn nothing_has_a_right_and_no_secret_is_rendered() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for document in cluster.documents() {
            let kind = document["kind"].as_str().unwrap();
            assert!(KINDS.contains(&kind), "{overlaid}: {kind}");
            let namespace = &document["metadata"]["namespace"];
            assert!(
                kind == "Namespace" || namespace == "tokenbind",
                "{overlaid}: {kind} in {namespace}"
            );
        }
        let accounts: Vec<_> = cluster
            .workloads()
            .map(|workload| &workload["spec"]["template"]["spec"]["serviceAccountName"])
            .collect();
        let distinct: std::collections::BTreeSet<_> =
            accounts.iter().map(|account| account.as_str().unwrap()).collect();
        assert_eq!(
            accounts.len(),
            distinct.len(),
            "{overlaid}: each has an account of its own"
        );
        assert!(!distinct.contains("default"), "{overlaid}");
    }
}
