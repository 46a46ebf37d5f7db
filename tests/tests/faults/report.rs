//! What a run came to.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tokenbind_tests::history::{Figures, History, Judgement, Stall, check};

/// How many violations are shown.
const SHOWN: usize = 12;

/// Says what happens next.
#[expect(
    clippy::print_stderr,
    reason = "for whoever asks for it with --nocapture, and of a run that fails"
)]
pub(crate) fn say(name: &str, seed: u64, now: u64, fault: &str) {
    eprintln!(
        "{name}, seed {seed}, {:.1} s: {fault}",
        Duration::from_micros(now).as_secs_f64()
    );
}

/// Judges a run, and says what it was.
#[expect(clippy::print_stderr, reason = "figures for whoever asks for them with --nocapture")]
pub(crate) fn judge(name: &str, seed: u64, history: &History, recovery: Duration) {
    let judgement = check(history);
    eprintln!("{}", figures(name, seed, history, &judgement.figures, recovery));
    assert!(
        judgement.violations.is_empty(),
        "{name}, seed {seed}: {} violations\n{}",
        judgement.violations.len(),
        violations(history, &judgement)
    );
}

/// Keeps a history for reading.
#[expect(clippy::print_stderr, reason = "says where it is")]
pub(crate) fn keep(name: &str, seed: u64, history: &History) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
    let file = folder.join(format!("{name}-{seed}.jsonl"));
    let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, history.to_lines()));
    match kept {
        Ok(()) => eprintln!("the history is in {}", file.display()),
        Err(error) => eprintln!("the history cannot be kept: {error}"),
    }
}

fn violations(history: &History, judgement: &Judgement) -> String {
    let mut text = String::new();
    for violation in judgement.violations.iter().take(SHOWN) {
        writeln!(text, "{}: {}", violation.invariant, violation.text).unwrap();
        for number in &violation.events {
            let event = serde_json::to_string(&history.events[*number]).unwrap();
            writeln!(text, "  {event}").unwrap();
        }
    }
    text
}

fn figures(name: &str, seed: u64, history: &History, figures: &Figures, recovery: Duration) -> String {
    let mut text = format!("{name}, seed {seed}: {} faults\n", history.faults.len());
    let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
    for (fault, count) in &figures.faults {
        let lengths = history.faults.iter().filter(|one| one.fault == *fault);
        let longest = lengths.map(|one| one.end - one.start).max().unwrap_or(0);
        writeln!(text, "  {count:4} × {fault}, at most {:.1} s", seconds(longest)).unwrap();
    }
    for (plague, count) in &figures.plagues {
        writeln!(text, "  {count:4} × {plague}, beside them").unwrap();
    }
    for ((asked, answered), count) in &figures.calls {
        writeln!(text, "  {count:7} {asked}: {answered}").unwrap();
    }
    for (what, counts) in [
        ("tokens lost", &figures.lost_tokens),
        ("refresh tokens lost", &figures.lost_refresh_tokens),
        ("supersessions undone", &figures.undone_supersessions),
        ("uses forgotten", &figures.forgotten_uses),
    ] {
        for (fault, count) in counts {
            writeln!(text, "  {count:7} {what} by: {fault}").unwrap();
        }
    }
    let together = |stalls: &[Stall]| stalls.iter().map(|stall| stall.end - stall.start).sum::<u64>();
    write!(
        text,
        "  latest allow {:.3} s after a revocation, watch {:.3} s after an end; back at most {:.1} s after a fault; \
         {} stalls of {:.1} s together, and {} times that a service or the store had no processor, of {:.1} s",
        seconds(figures.latest_allow),
        seconds(figures.latest_watch),
        recovery.as_secs_f64(),
        history.stalls.len(),
        seconds(together(&history.stalls)),
        history.starved.len(),
        seconds(together(&history.starved))
    )
    .unwrap();
    text
}
