//! How the checks collect what is wrong.

use std::collections::HashMap;

use crate::error::FieldViolations;

impl FieldViolations {
    /// Adds one, unless what is required is so.
    pub(crate) fn require(&mut self, is_so: bool, field: &str, description: &str) {
        if !is_so {
            self.push(field, description);
        }
    }

    /// Adds one, if there is a problem.
    pub(crate) fn problem(&mut self, field: &str, problem: Option<&str>) {
        if let Some(description) = problem {
            self.push(field, description);
        }
    }

    /// Checks a list that stands for a set: its size, each member, and that none is there twice.
    pub(super) fn set(
        &mut self,
        field: &str,
        members: &[String],
        max: usize,
        problem: fn(&str) -> Option<&'static str>,
    ) {
        if members.len() > max {
            // The members stay unread: a list that is too long could yield as many violations.
            self.push(field, format!("must have at most {max} members"));
            return;
        }
        let mut first_at = HashMap::new();
        for (index, member) in members.iter().enumerate() {
            self.problem(&format!("{field}[{index}]"), problem(member));
            if let Some(first) = first_at.get(member) {
                self.push(format!("{field}[{index}]"), format!("is the same as {field}[{first}]"));
            } else {
                first_at.insert(member, index);
            }
        }
    }

    /// Checks that each member of a list, of at most `max`, is also in another one.
    pub(super) fn subset(&mut self, field: &str, members: &[String], max: usize, whole_field: &str, whole: &[String]) {
        self.set(field, members, max, |_| None);
        for (index, member) in members.iter().take(max).enumerate() {
            self.require(
                whole.contains(member),
                &format!("{field}[{index}]"),
                &format!("must be among `{whole_field}`"),
            );
        }
    }

    /// The same violations, below the field `parent`.
    pub(crate) fn under(&self, parent: &str) -> Self {
        let mut below = Self::new();
        for violation in self.as_slice() {
            below.push(format!("{parent}.{}", violation.field), violation.description.clone());
        }
        below
    }
}
