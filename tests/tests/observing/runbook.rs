//! The runbook: its sections. (Its commands are run by the test `readme`.)

use crate::documented::read;

/// What links to a heading say.
pub(crate) fn anchors() -> Vec<String> {
    let page = read("docs/runbook.md");
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    let anchor = |heading: &str| {
        let kept = heading
            .chars()
            .filter(|character| character.is_alphanumeric() || " -_".contains(*character));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}
