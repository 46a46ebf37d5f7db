//! `tokenbind bench`: short runs of the workloads, against a Redis of the test's own. What they measure here says nothing; that
//! they measure what they say does.

use serde_json::Value;
use tempfile::TempDir;
use tokenbind_tests::RedisServer;

use super::support::Tokenbind;

/// What a run wrote.
struct Run {
    report: Value,
    folder: TempDir,
}

fn bench(arguments: &[&str]) -> Run {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let (url, report, plots) = (redis.url(), file.to_str().unwrap(), folder.path().to_str().unwrap());
    let common = [
        "--no-pin",
        "--redis-url",
        &url,
        "--report",
        report,
        "--plots",
        plots,
        "--warmup",
        "0.1",
        "--rounds",
        "1",
        "--connections",
        "2",
    ];
    // The variables of a shell in which somebody works with another installation.
    let program = Tokenbind::new()
        .with("TOKENBIND_CLIENT_SECRET", "tbs_of-something-else")
        .with("TOKENBIND_RESOURCE_SECRET", "tbs_of-something-else");
    program.run(&[&["bench"], arguments, &common].concat()).fine();
    let report = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    Run { report, folder }
}

impl Run {
    fn has(&self, plot: &str) -> bool {
        let plot = std::fs::read_to_string(self.folder.path().join(plot));
        plot.is_ok_and(|plot| plot.contains("<svg") && plot.contains("polyline"))
    }

    /// The one round of the measurement with this number.
    fn round(&self, number: usize) -> &Value {
        &self.report["figures"]["load"][number]["rounds"][0]
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Both were asked and answered the same.
#[track_caller]
fn assert_compared(round: &Value) {
    for side in ["ours", "bare"] {
        assert_eq!(round[side]["errors"], 0, "{side}: {}", round[side]["error"]);
        assert!(number(&round[side]["calls"]) > 0.0, "{side}");
    }
    for size in ["sent_bytes_per_call", "received_bytes_per_call"] {
        let (ours, bare) = (number(&round["ours"][size]), number(&round["bare"][size]));
        // Numbers are written in as many bytes as they need.
        assert!((ours / bare - 1.0).abs() < 0.02, "{size}: {ours} against {bare}");
    }
}

#[test]
fn one_token_a_call_is_compared_with_the_same_messages() {
    let run = bench(&["validate", "--tokens", "40", "--duration", "0.3"]);
    assert_compared(run.round(0));
    assert!(run.has("validate-latency.svg"));
}

#[test]
fn a_batch_is_compared_with_the_same_messages() {
    let run = bench(&[
        "batch",
        "--tokens",
        "40",
        "--tokens-per-call",
        "20",
        "--duration",
        "0.3",
        "--concurrency",
        "1,4",
    ]);
    for measurement in [0, 1] {
        assert_compared(run.round(measurement));
    }
    assert_eq!(run.report["figures"]["load"][0]["tokens_per_call"], 20);
    assert!(run.has("batch-latency.svg") && run.has("batch-throughput.svg"));
}

#[test]
fn streams_are_compared_with_the_same_messages() {
    let run = bench(&[
        "stream",
        "--tokens",
        "40",
        "--streams",
        "3",
        "--duration",
        "0.3",
        "--concurrency",
        "2,64",
    ]);
    for measurement in [0, 1] {
        assert_compared(run.round(measurement));
    }
    assert!(run.has("stream-latency.svg") && run.has("stream-throughput.svg"));
}

#[test]
fn questions_on_streams_come_at_the_rate_that_is_asked_for() {
    let run = bench(&["stream", "--tokens", "40", "--duration", "1", "--rate", "200"]);
    let round = run.round(0);
    assert_compared(round);
    for side in ["ours", "bare"] {
        let calls = number(&round[side]["calls"]);
        // Whoever is late with the first one has less of the second left.
        assert!((100.0..=201.0).contains(&calls), "{side}: {calls}");
    }
}

#[test]
fn a_soak_supersedes_tokens_and_looks_at_the_memory() {
    let run = bench(&[
        "soak",
        "--tokens",
        "60",
        "--replace",
        "50",
        "--every",
        "0.1",
        "--duration",
        "2",
    ]);
    let soak = &run.report["figures"]["soak"];
    assert_eq!(soak["sample"]["errors"], 0, "{}", soak["sample"]["error"]);
    assert!(number(&soak["superseded"]) >= 50.0, "{soak}");
    let timeline = soak["sample"]["timeline"].as_array().unwrap();
    assert!(timeline.len() >= 10, "{timeline:?}");
    assert!(timeline.iter().all(|tick| number(&tick["resident_bytes"]) > 1e6));
    assert!(["flat", "growing"].contains(&soak["verdict"].as_str().unwrap()));
    assert!(number(&soak["trend"]["mean_bytes"]) > 1e6);
    assert!(run.has("soak.svg"));
}

#[test]
fn every_validator_denies_what_was_revoked() {
    let run = bench(&[
        "revoke-deny",
        "--validators",
        "3",
        "--revocations",
        "20",
        "--probes",
        "500",
    ]);
    let found = &run.report["figures"]["revoke_deny"];
    assert_eq!(found["allowed_beyond_lease"], 0);
    assert!(number(&found["probes"]) >= 60.0, "{found}");
    for latency in ["from_start_us", "from_start_to_all_us", "call_us", "probe_delay_us"] {
        assert!(number(&found[latency]["max"]) > 0.0, "{latency}: {found}");
    }
    let one = number(&found["from_start_us"]["p50"]);
    let all = number(&found["from_start_to_all_us"]["p50"]);
    assert!(one <= all, "{one} {all}");
    assert!(run.has("revoke-deny-latency.svg"));
}
