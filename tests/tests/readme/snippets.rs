//! Snippets in Markdown: a fenced block of `sh`, and what it prints in a fenced block of `text` right after it.

/// Commands, and what they print; `None` where the README does not say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snippet<'a> {
    pub(crate) commands: &'a str,
    pub(crate) output: Option<&'a str>,
}

/// What stands below a heading, up to the next heading of its level.
pub(crate) fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let line = format!("{heading}\n");
    let (_, rest) = document.split_once(&line).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// All snippets, in order.
pub(crate) fn snippets(text: &str) -> Vec<Snippet<'_>> {
    let mut found: Vec<Snippet<'_>> = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("```") {
        let (language, after) = after.split_once('\n').unwrap();
        let (content, after) = after.split_once("```").unwrap();
        match language {
            "sh" => found.push(Snippet {
                commands: content,
                output: None,
            }),
            // What stands between belongs to neither.
            "text" if before.trim().is_empty() => found.last_mut().unwrap().output = Some(content),
            _ => {}
        }
        rest = after;
    }
    found
}

/// Without what differs each time: long numbers are revisions, long words are tokens.
pub(crate) fn masked(text: &str) -> String {
    let varies = |word: &str| word.len() > 60 || (word.len() >= 10 && word.bytes().all(|byte| byte.is_ascii_digit()));
    let mut out = String::new();
    for word in
        text.split_inclusive(|character: char| !(character.is_ascii_alphanumeric() || "._-".contains(character)))
    {
        let end =
            word.trim_end_matches(|character: char| !(character.is_ascii_alphanumeric() || "._-".contains(character)));
        out += if varies(end) { "…" } else { end };
        out += &word[end.len()..];
    }
    out
}

#[test]
fn snippets_are_found_with_what_they_print() {
    let text = "## One\n\nWords.\n\n```sh\na\nb\n```\n\nMore.\n\n```sh\nc\n```\n\n```text\n1\n2\n```\n\nLast\n\n```yaml\nd\n```\n\n## Two\n\n```sh\ne\n```\n";
    let expected = [
        Snippet {
            commands: "a\nb\n",
            output: None,
        },
        Snippet {
            commands: "c\n",
            output: Some("1\n2\n"),
        },
    ];
    assert_eq!(snippets(section(text, "## One")), expected);
    assert_eq!(snippets(section(text, "## Two")).len(), 1);
}

#[test]
fn only_what_differs_each_time_is_masked() {
    let text = r#"{"revoked": "1", "revision": "1795306166324030"} DECISION_ALLOW"#;
    assert_eq!(masked(text), r#"{"revoked": "1", "revision": "…"} DECISION_ALLOW"#);
    assert_eq!(masked(&format!("a {} b", "x.".repeat(40))), "a … b");
}
