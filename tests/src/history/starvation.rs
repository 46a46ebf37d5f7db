//! Whether the processes under test had a processor, as Linux counts it.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// A thread that waited for a processor so much longer than at the last look was starved.
const STARVED: Duration = Duration::from_millis(150);

/// How long each thread of the processes that this one has started has waited for a processor.
#[derive(Debug, Default)]
pub(super) struct Waits(HashMap<(u32, u32), u64>);

impl Waits {
    /// The longest wait since the last look, if a thread was starved. Where nothing is counted, nobody ever is.
    pub(super) fn starved(&mut self) -> Option<Duration> {
        let before = std::mem::take(&mut self.0);
        self.0 = children().into_iter().flat_map(waits_of).collect();
        let waited = |(thread, now): (&(u32, u32), &u64)| before.get(thread).map(|then| now.saturating_sub(*then));
        let longest = self.0.iter().filter_map(waited).max()?;
        Some(Duration::from_nanos(longest)).filter(|longest| *longest > STARVED)
    }
}

fn children() -> Vec<u32> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let numbers = |list: String| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    lists.flat_map(|list| -> Vec<u32> { numbers(list) }).collect()
}

/// By process and thread, in nanoseconds: the second number of `schedstat`.
fn waits_of(process: u32) -> Vec<((u32, u32), u64)> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let wait = |task: fs::DirEntry| {
        let thread = task.file_name().to_str()?.parse().ok()?;
        let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let waited = schedstat.split_whitespace().nth(1)?.parse().ok()?;
        Some(((process, thread), waited))
    };
    tasks.filter_map(wait).collect()
}
