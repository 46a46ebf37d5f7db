//! The table of `docs/capacity.md` is what its figures say.

use std::process::Command;

use crate::documented::{read, repository};

#[test]
fn the_table_is_computed_from_the_figures() {
    let output = Command::new(repository().join("scripts/capacity"))
        .arg("--check")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = read("docs/capacity.md");
    for tokens in ["10⁴", "10⁵", "10⁶", "10⁷", "10⁸", "10⁹"] {
        assert!(page.contains(&format!("\n| {tokens} | ")), "{tokens}");
    }
}
