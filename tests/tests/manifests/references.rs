//! Every name leads somewhere: ports, volumes, Secrets, variables, images.

use std::process::Command;

use serde_json::Value;
use tokenbind_tests::binary;

use crate::cluster::{Cluster, container, items, name, port, selects, variable};
use crate::render::{OVERLAYS, overlay, repository};

/// The Secrets that the page tells how to make: the first column of its table.
fn documented_secrets() -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("deploy/kubernetes/README.md")).unwrap();
    let (_, table) = page.split_once("| Secret | holds | read |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let first = rows.map(|line| line.split('|').nth(1).unwrap());
    first
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

fn assert_secret(cluster: &Cluster, documented: &[String], secret: &str) {
    let made = cluster
        .of_kind("Certificate")
        .any(|certificate| certificate["spec"]["secretName"] == secret);
    let tells = documented.iter().any(|known| known == secret);
    assert!(
        tells && (made || !secret.ends_with("-tls")),
        "who makes the Secret {secret}?"
    );
}

fn assert_volumes(cluster: &Cluster, workload: &Value, documented: &[String]) {
    let pod = &workload["spec"]["template"]["spec"];
    let mounts: Vec<_> = items(&container(workload)["volumeMounts"]).collect();
    let volumes: Vec<_> = items(&pod["volumes"]).collect();
    for volume in &volumes {
        let used = mounts.iter().filter(|mount| mount["name"] == volume["name"]).count();
        assert_eq!(used, 1, "{}: {volume}", name(workload));
        if let Some(secret) = volume["secret"]["secretName"].as_str() {
            assert_secret(cluster, documented, secret);
        }
        if let Some(map) = volume["configMap"]["name"].as_str() {
            cluster.get("ConfigMap", map);
        }
    }
    assert_eq!(mounts.len(), volumes.len(), "{}", name(workload));
    for mount in mounts {
        assert!(
            mount.get("subPath").is_none(),
            "what is mounted by subPath never changes: {mount}"
        );
    }
}

#[test]
fn every_volume_and_secret_is_there() {
    let documented = documented_secrets();
    assert!(documented.len() >= 6, "{documented:?}");
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for workload in cluster.workloads() {
            assert_volumes(&cluster, workload, &documented);
            for variable in items(&container(workload)["env"]) {
                if let Some(reference) = variable["valueFrom"]["secretKeyRef"].as_object() {
                    assert_secret(&cluster, &documented, reference["name"].as_str().unwrap());
                    assert_eq!(reference["key"], "url");
                } else {
                    assert!(variable["value"].is_string(), "{variable}");
                }
            }
        }
    }
}

/// Whether the help has `[env: NAME=…]`, which may stand on two lines.
fn reads(words: &[&str], variable: &str) -> bool {
    words.windows(2).any(|pair| {
        let told = pair[1].strip_prefix(variable);
        pair[0] == "[env:" && told.is_some_and(|rest| rest == "]" || rest.starts_with('='))
    })
}

#[test]
fn every_variable_is_one_that_the_program_reads() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for workload in cluster.ours() {
            let program = name(workload);
            let help = Command::new(binary(program)).arg("--help").output().unwrap();
            let help = String::from_utf8(help.stdout).unwrap();
            let words: Vec<_> = help.split_whitespace().collect();
            let container = container(workload);
            assert!(
                container.get("args").is_none() && container.get("command").is_none(),
                "{program}"
            );
            for variable in items(&container["env"]) {
                let name = variable["name"].as_str().unwrap();
                assert!(reads(&words, name), "{overlaid}: {program} knows no {name}");
            }
        }
    }
}

#[test]
fn every_file_that_a_variable_names_is_mounted() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for workload in cluster.ours() {
            let container = container(workload);
            let mounts: Vec<_> = items(&container["volumeMounts"]).collect();
            let files = items(&container["env"]).filter_map(|variable| variable["value"].as_str());
            for file in files.filter(|value| value.starts_with('/')) {
                let under = |mount: &&&Value| file.starts_with(mount["mountPath"].as_str().unwrap());
                assert!(mounts.iter().any(|mount| under(&mount)), "{overlaid}: {file}");
            }
        }
        let catalog = variable(container(cluster.get("Deployment", "issuer")), "TOKENBIND_CATALOG").unwrap();
        let file = catalog.rsplit('/').next().unwrap();
        assert!(
            cluster.get("ConfigMap", "catalog")["data"][file].is_string(),
            "{overlaid}: {file}"
        );
    }
}

#[test]
fn every_service_leads_to_a_port() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for service in cluster.of_kind("Service") {
            let chosen: Vec<_> = cluster
                .workloads()
                .filter(|workload| {
                    selects_map(
                        &service["spec"]["selector"],
                        &workload["spec"]["template"]["metadata"]["labels"],
                    )
                })
                .collect();
            assert_eq!(chosen.len(), 1, "{overlaid}: {}", name(service));
            for entry in items(&service["spec"]["ports"]) {
                assert!(
                    port(container(chosen[0]), &entry["targetPort"]).is_some(),
                    "{overlaid}: {entry}"
                );
            }
        }
        for workload in cluster.ours() {
            let who = name(workload);
            assert_eq!(
                cluster.get("Service", &format!("{who}-headless"))["spec"]["clusterIP"],
                "None"
            );
            let balanced = &cluster.get("Service", who)["spec"];
            assert!(balanced.get("clusterIP").is_none());
            let tls = cluster.find("Certificate", who).is_some();
            let (name, port) = if tls { ("https", 443) } else { ("http", 80) };
            let http = &balanced["ports"][1];
            assert!(
                http["name"] == name && http["port"] == port && http["appProtocol"] == name,
                "{http}"
            );
            assert!(selects(
                &workload["spec"]["selector"],
                &workload["spec"]["template"]["metadata"]["labels"]
            ));
        }
    }
}

/// A Service's selector is a plain map.
fn selects_map(selector: &Value, labels: &Value) -> bool {
    selects(&serde_json::json!({ "matchLabels": selector }), labels)
}

#[test]
fn every_image_has_a_tag_that_stays() {
    for overlaid in OVERLAYS {
        let (_, cluster) = overlay(overlaid);
        for workload in cluster.workloads() {
            let image = container(workload)["image"].as_str().unwrap();
            let (_, tag) = image.rsplit_once(':').unwrap_or((image, ""));
            assert!(
                !tag.is_empty() && tag != "latest" && !tag.contains('/'),
                "{overlaid}: {image}"
            );
        }
    }
}

#[test]
fn a_certificate_has_the_names_that_callers_use() {
    let (_, cluster) = overlay("production");
    for service in ["issuer", "validator"] {
        let names = &cluster.get("Certificate", service)["spec"]["dnsNames"];
        let names: Vec<_> = items(names).map(|name| name.as_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                format!("{service}.tokenbind.svc"),
                format!("{service}-headless.tokenbind.svc")
            ]
        );
    }
}
