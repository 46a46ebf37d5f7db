//! The runbook: its commands are ones that our programs have.

use std::process::Command;

use tokenbind_tests::binary;

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

/// The commands in fenced blocks that call our own command line, without their arguments that begin with other signs.
fn own_commands() -> Vec<Vec<String>> {
    let page = read("docs/runbook.md");
    let blocks = page
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap());
    let lines = blocks
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("tokenbind "));
    lines
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn its_commands_and_flags_exist() {
    let commands = own_commands();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        let words: Vec<_> = command
            .iter()
            .take(2)
            .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            .collect();
        let help = Command::new(binary("tokenbind"))
            .args(&words)
            .arg("--help")
            .output()
            .unwrap();
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(
            help.status.success()
                && text.contains(&format!(
                    "Usage: tokenbind {}",
                    words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" ")
                )),
            "{command:?}"
        );
        for flag in command.iter().filter(|word| word.starts_with("--")) {
            let flag = flag.split('=').next().unwrap();
            assert!(text.contains(flag), "{command:?}: no {flag}");
        }
    }
}
