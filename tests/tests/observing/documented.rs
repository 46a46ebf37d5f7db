//! The table of `docs/metrics.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metric {
    pub(crate) kind: String,
    pub(crate) labels: BTreeSet<String>,
    /// `issuer`, `validator` or `both`; further words are a condition, such as `both, with TLS`.
    pub(crate) of: String,
}

impl Metric {
    /// Whether `service` has it, whatever is configured.
    pub(crate) fn always_of(&self, service: &str) -> bool {
        self.of == service || self.of == "both"
    }

    /// Whether `service` may have it.
    pub(crate) fn may_be_of(&self, service: &str) -> bool {
        let owner = self.of.split(',').next().unwrap();
        owner == service || owner == "both"
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// By name.
pub(crate) fn metrics() -> BTreeMap<String, Metric> {
    let page = read("docs/metrics.md");
    let (_, table) = page.split_once("|---|---|---|---|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let parsed = rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, kind, unit, labels, of, meaning, _] = cells[..] else {
            unreachable!("{row}")
        };
        assert!(!unit.is_empty() && !meaning.is_empty(), "{row}");
        let metric = Metric {
            kind: kind.to_owned(),
            labels: quoted(labels).collect(),
            of: of.to_owned(),
        };
        (quoted(name).next().unwrap(), metric)
    });
    let parsed: Vec<_> = parsed.collect();
    let by_name: BTreeMap<_, _> = parsed.iter().cloned().collect();
    assert_eq!(by_name.len(), parsed.len(), "none stands twice");
    by_name
}
