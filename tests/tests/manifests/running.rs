//! A stand-in for the kubelet: starts a container of a rendered workload as a process, with its variables and volumes.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tokenbind_tests::{DEADLINE, Process, binary, free_port, tool, wait_until};

use crate::cluster::{Cluster, container, entries, items, name};

/// File names and contents.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Where pods run: what they mount, and where the Service `redis` leads.
pub(crate) struct Node<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) secrets: &'a BTreeMap<String, Files>,
    disk: TempDir,
    redis_port: u16,
}

/// A running service.
pub(crate) struct Pod {
    pub(crate) process: Process,
    pub(crate) grpc: String,
    pub(crate) admin: String,
}

impl<'a> Node<'a> {
    pub(crate) fn new(cluster: &'a Cluster, secrets: &'a BTreeMap<String, Files>) -> Self {
        let disk = TempDir::new().unwrap();
        Self {
            cluster,
            secrets,
            disk,
            redis_port: 0,
        }
    }

    fn files_of(&self, volume: &Value) -> Files {
        if let Some(secret) = volume["secret"]["secretName"].as_str() {
            let mut files = self.secrets[secret].clone();
            let chosen: Vec<_> = items(&volume["secret"]["items"]).collect();
            assert!(chosen.iter().all(|item| item["key"] == item["path"]), "{volume}");
            files.retain(|file, _| chosen.is_empty() || chosen.iter().any(|item| item["key"] == file.as_str()));
            return files;
        }
        let Some(map) = volume["configMap"]["name"].as_str() else {
            return Files::new();
        };
        let data = &self.cluster.get("ConfigMap", map)["data"];
        entries(data)
            .map(|(file, text)| (file.to_owned(), text.as_str().unwrap().into()))
            .collect()
    }

    /// Lays out the volumes as the kubelet does (files are links into `..data`, a link to what is current), and answers from which
    /// path in the container to which one here.
    fn mounted(&self, workload: &Value) -> Vec<(String, PathBuf)> {
        let pod = &workload["spec"]["template"]["spec"];
        let places = items(&container(workload)["volumeMounts"]).map(|mount| {
            let volume = items(&pod["volumes"])
                .find(|volume| volume["name"] == mount["name"])
                .unwrap();
            let path = self
                .disk
                .path()
                .join(name(workload))
                .join(mount["name"].as_str().unwrap());
            std::fs::create_dir_all(path.join("..2026_11_22")).unwrap();
            symlink("..2026_11_22", path.join("..data")).unwrap();
            (mount["mountPath"].as_str().unwrap().to_owned(), path, volume)
        });
        let places: Vec<_> = places.collect();
        let paths: Vec<_> = places.iter().map(|(from, to, _)| (from.clone(), to.clone())).collect();
        for (_, path, volume) in &places {
            for (file, content) in self.files_of(volume) {
                std::fs::write(path.join("..data").join(&file), content).unwrap();
                symlink(Path::new("..data").join(&file), path.join(&file)).unwrap();
            }
        }
        paths
    }

    fn value_of(&self, variable: &Value) -> String {
        let reference = &variable["valueFrom"]["secretKeyRef"];
        let Some(secret) = reference["name"].as_str() else {
            return variable["value"].as_str().unwrap().to_owned();
        };
        let value = &self.secrets[secret][reference["key"].as_str().unwrap()];
        let value = String::from_utf8(value.clone()).unwrap();
        value.replace("//redis:6379", &format!("//127.0.0.1:{}", self.redis_port))
    }

    /// Starts `issuer` or `validator`, on free ports.
    pub(crate) fn start(&self, service: &str) -> Pod {
        let workload = self.cluster.get("Deployment", service);
        let paths = self.mounted(workload);
        let mut command = Command::new(binary(service));
        for variable in items(&container(workload)["env"]) {
            let key = variable["name"].as_str().unwrap();
            let value = match key {
                "TOKENBIND_LISTEN" | "TOKENBIND_METRICS_LISTEN" => "127.0.0.1:0".to_owned(),
                _ => here(&self.value_of(variable), &paths),
            };
            command.env(key, value);
        }
        let mut process = Process::start(service, command);
        let admin = process.logged_address("serving metrics");
        let grpc = process.logged_address("serving");
        Pod { process, grpc, admin }
    }

    /// Starts the Redis of the overlay, and waits until it answers at `url`.
    pub(crate) async fn start_redis(&mut self) -> Process {
        let workload = self.cluster.get("StatefulSet", "redis");
        let command: Vec<_> = items(&container(workload)["command"])
            .map(|part| part.as_str().unwrap())
            .collect();
        let [program, conf] = command[..] else {
            panic!("{command:?}")
        };
        let arguments: Vec<_> = items(&container(workload)["args"])
            .map(|part| part.as_str().unwrap())
            .collect();
        let program = match program {
            "valkey-server" => tool("TOKENBIND_TEST_VALKEY_SERVER", program),
            _ => tool("TOKENBIND_TEST_REDIS_SERVER", program),
        };
        let (program, paths) = (program.unwrap(), self.mounted(workload));
        // A port that is free now may be taken a moment later.
        for _ in 0..20 {
            self.redis_port = free_port();
            let mut command = Command::new(&program);
            command.arg(here(conf, &paths));
            command.args(arguments.iter().map(|argument| here(argument, &paths)));
            command.args(["--bind", "127.0.0.1", "--port", &self.redis_port.to_string()]);
            let mut process = Process::start("redis", command);
            let port = self.redis_port;
            let up = wait_until("Redis answers or ends", DEADLINE, async || {
                if process.ended().is_some() {
                    return Some(false);
                }
                process
                    .printed()
                    .contains("Ready to accept connections")
                    .then_some(true)
            });
            if up.await && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return process;
            }
        }
        panic!("no port was free");
    }
}

/// A text of the container with the paths of this machine.
fn here(text: &str, paths: &[(String, PathBuf)]) -> String {
    paths.iter().fold(text.to_owned(), |text, (from, to)| {
        text.replace(from, to.to_str().unwrap())
    })
}
