//! Everything that is wrong with a catalog.

use std::fmt;

use thiserror::Error;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogError {
    /// Where: `applications[2].token_format`; empty for the file as a whole.
    pub path: String,
    /// The line of the file, where it is known.
    pub line: Option<u64>,
    /// What is wrong, and what would be right. Never repeats a value: it may be a secret in the wrong place.
    pub problem: String,
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// All that is wrong, one to a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error)]
pub struct CatalogErrors(pub Vec<CatalogError>);

impl fmt::Display for CatalogErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl CatalogErrors {
    pub(super) fn push(&mut self, path: impl Into<String>, line: Option<u64>, problem: impl Into<String>) {
        self.0.push(CatalogError {
            path: path.into(),
            line,
            problem: problem.into(),
        });
    }

    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}
