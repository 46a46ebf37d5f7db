//! Where everything is, for people.

use super::ready::Ready;
use super::samples::{self, ADMIN, APPLICATIONS, PASSWORD, RESOURCE, USERNAME};
use crate::output::table;
use crate::words;

/// Where everything is.
pub(super) fn text(ready: &Ready) -> String {
    let index = if ready.in_memory {
        "in memory: gone when this stops (--redis-url keeps it)"
    } else {
        "Redis; further stacks on it are replicas of this one"
    };
    let callers = if ready.caller_auth {
        format!("callers need credentials, such as {RESOURCE}'s")
    } else {
        format!("callers without credentials count as {RESOURCE} (--caller-auth turns that off)")
    };
    let Ready { issuer, validator, .. } = ready;
    let samples = indented(&samples());
    format!(
        "\
tokenbind development stack                                        Ctrl-C stops it

  issuer     {issuer}
  validator  {validator}   {callers}
  index      {index}

{samples}

  FOR DEVELOPMENT ONLY: these credentials and this stack's keys are public, the same everywhere.
"
    )
}

fn samples() -> String {
    let application = |sample: &samples::Sample| {
        [
            sample.client_id.to_owned(),
            samples::secret(sample.client_id),
            format!(
                "{}, bound by {}: {}",
                words::token_format(sample.token_format as i32),
                words::binding_type(sample.binding_type as i32),
                sample.what
            ),
        ]
    };
    let other = |id: &str, secret: String, what: &str| [id.to_owned(), secret, what.to_owned()];
    let others = [
        other(
            ADMIN,
            samples::secret(ADMIN),
            "application that may administer (`tokenbind app list`, …)",
        ),
        other(USERNAME, PASSWORD.to_owned(), "user"),
        other(
            RESOURCE,
            samples::secret(RESOURCE),
            "resource: the API that asks the validator",
        ),
    ];
    let rows = APPLICATIONS.iter().map(application).chain(others);
    table(["SAMPLE", "SECRET", "WHAT IT IS"], rows)
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
