//! What goes to the terminal: tables for people, one JSON document for scripts, errors on stderr.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::error::{CliError, Exit};

/// Where a command says what it found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// For people, or for scripts.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// The JSON document where it is asked for, otherwise the text.
    pub(crate) fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json {
            let line = serde_json::to_string(value).map_err(|error| CliError::Internal(error.to_string()))?;
            return print_line(&line);
        }
        print_line(text().trim_end_matches('\n'))
    }

    /// Says on stderr how far something is, for people alone.
    pub(crate) fn progress(self, text: &str) {
        if !self.json {
            // Whoever cannot be told waits all the same.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Tells an error on stderr, and how the process ends.
    pub(crate) fn fail(self, error: &CliError) -> Exit {
        let text = if self.json {
            error.to_json().to_string()
        } else {
            error_text(error)
        };
        // There is no other place to complain.
        let _ = writeln!(io::stderr(), "{text}");
        error.exit()
    }
}

/// One line, or several, as they are.
pub(crate) fn print_line(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| CliError::Internal(format!("cannot write to stdout: {error}"))),
    }
}

fn error_text(error: &CliError) -> String {
    let violations = error.violations();
    // The message of a server repeats the violations in one line.
    let what = if violations.is_empty() {
        error.to_string()
    } else {
        error.reason()
    };
    let mut text = format!("error: {}", plain(&what));
    for (field, description) in violations {
        let _ = write!(text, "\n  {}: {}", plain(&field), plain(&description));
    }
    if let Some(hint) = error.hint() {
        let _ = write!(text, "\nhint: {hint}");
    }
    text
}

/// Rows under a header.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = empty();
    table.set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    trimmed(&table)
}

/// Names and values of one thing; what is empty is left out.
pub(crate) fn facts<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = empty();
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([name.to_owned(), plain(&value)]);
    }
    trimmed(&table)
}

/// A list in one cell.
pub(crate) fn joined(items: &[String]) -> String {
    items.join(" ")
}

fn empty() -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn trimmed(table: &Table) -> String {
    // Each cell is padded by one; at the left edge that is an indentation that nobody asked for.
    let lines = table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// Text of somebody else, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' => '\n',
            control if control.is_control() => char::REPLACEMENT_CHARACTER,
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_obeys_nobody() {
        let rows = [
            ["shop".to_owned(), "jwt".to_owned()],
            ["a\u{1b}[2J".to_owned(), "opaque".to_owned()],
        ];
        let text = table(["CLIENT", "FORMAT"], rows);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("CLIENT") && lines[0].ends_with("FORMAT"));
        assert_eq!(lines[0].find("FORMAT"), lines[1].find("jwt"));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn each_violation_is_told_once() {
        use tokenbind_runtime::status::{FieldViolation, invalid_argument};
        let violation = FieldViolation::new("scopes[0]", "is not one of the application's");
        let error = CliError::from(invalid_argument("invalid_scope", vec![violation]));
        let text = error_text(&error);
        assert!(text.starts_with("error: invalid_scope\n  scopes[0]: is not one of the application's\nhint: "));
        assert_eq!(text.matches("scopes[0]").count(), 1);
    }

    #[test]
    fn facts_leave_out_what_is_empty() {
        let text = facts([("subject", "user:alice".to_owned()), ("username", String::new())]);
        assert!(text.contains("user:alice") && !text.contains("username"));
    }
}
