//! The list of metrics against what both services expose, and that against Prometheus's own rules.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{Stack, client_credentials, start_validator, tool};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::documented::{Metric, metrics};

pub(crate) async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The labels of one series, without the bound of a bucket.
fn labels(series: &str) -> BTreeSet<String> {
    let inside = series
        .split_once('{')
        .map_or("", |(_, rest)| rest.trim_end_matches('}'));
    let pairs = inside.split("\",").filter(|pair| !pair.is_empty());
    let keys = pairs.map(|pair| pair.split_once('=').unwrap().0.to_owned());
    keys.filter(|key| key != "le").collect()
}

/// Name, type and labels of everything in an exposition.
fn families(exposition: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut found = BTreeMap::new();
    let mut current = String::new();
    for line in exposition.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            name.clone_into(&mut current);
            found.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&current), "{line} has no type");
            let series = line.rsplit_once(' ').unwrap().0;
            found.get_mut(&current).unwrap().1.extend(labels(series));
        }
    }
    found
}

fn assert_documented(service: &str, exposition: &str) {
    let (known, exposed) = (metrics(), families(exposition));
    for (name, (kind, labels)) in &exposed {
        let Some(Metric {
            kind: told,
            labels: listed,
            ..
        }) = known.get(name).filter(|metric| metric.may_be_of(service))
        else {
            unreachable!("docs/metrics.md does not say that the {service} has {name}");
        };
        assert_eq!((kind, labels), (told, listed), "{service}: {name}");
    }
    for (name, metric) in known.iter().filter(|(_, metric)| metric.always_of(service)) {
        assert!(exposed.contains_key(name), "the {service} has no {name}: {metric:?}");
    }
}

/// Names, units and types as Prometheus wants them.
fn assert_well_formed(exposition: &str) {
    let program = tool("TOKENBIND_TEST_PROMTOOL", "promtool").expect("`scripts/setup` gets promtool");
    let mut check = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(exposition.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let serious: Vec<_> = complaints
        .lines()
        .filter(|line| !line.contains("no help text"))
        .collect();
    assert!(serious.is_empty(), "{serious:#?}");
}

#[tokio::test]
async fn the_list_is_what_is_exposed() {
    let arguments = ["--metrics-listen", "127.0.0.1:0"];
    let mut stack = Stack::redis(&arguments, &arguments).await;
    let app = stack.shop("the-shop", TokenFormat::Jwt).await;
    let api = stack.api("the-api", &[&app]).await;
    let token = stack.issue(&app, client_credentials()).await.unwrap();
    stack.assert_live(&api, &token.access_token).await;
    for (service, index) in [("issuer", 0), ("validator", 1)] {
        let address = stack.processes[index].logged_address("serving metrics");
        get(&stack.processes[index].logged_address("serving"), "/none").await;
        let exposition = get(&address, "/metrics").await;
        assert_documented(service, &exposition);
        assert_well_formed(&exposition);
    }
    assert_whole(&stack).await;
}

/// With all that brings metrics of its own, none of the list is missing.
async fn assert_whole(stack: &Stack) {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = [
        "--metrics-listen",
        "127.0.0.1:0",
        "--tls-cert",
        certificate.to_str().unwrap(),
    ];
    let tls = [&tls[..], &["--tls-key", key.to_str().unwrap()]].concat();
    let installation = stack.installation.as_ref().unwrap();
    let (mut issuer, _) = installation.start_issuer(&[&tls[..], &["--audit-stream-entries", "10"]].concat());
    let (mut validator, _) = start_validator(installation.redis_url(), &tls);
    for (service, process) in [("issuer", &mut issuer), ("validator", &mut validator)] {
        let exposition = get(&process.logged_address("serving metrics"), "/metrics").await;
        let (known, exposed) = (metrics(), families(&exposition));
        for (name, metric) in known.iter().filter(|(_, metric)| metric.may_be_of(service)) {
            let conditional = !metric.always_of(service);
            assert!(
                !conditional || exposed.contains_key(name),
                "the {service} has no {name}: {metric:?}"
            );
        }
    }
}

#[test]
fn labels_are_read_from_series() {
    let series = r#"a_bucket{x="1,2",y="b}",le="0.5"}"#;
    assert_eq!(labels(series), ["x", "y"].map(str::to_owned).into());
    assert_eq!(labels("a"), BTreeSet::new());
}
