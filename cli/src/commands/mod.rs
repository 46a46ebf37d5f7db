//! The commands, a file for each, a folder for those with commands of their own.

pub(crate) mod app;
pub(crate) mod binding;
pub(crate) mod keys;
pub(crate) mod resource;
pub(crate) mod token;
pub(crate) mod user;
pub(crate) mod validate;

mod caller;
mod secret_files;

use crate::error::CliError;

/// Rows asked for at once.
const PAGE_SIZE: u32 = 1_000;

/// One thing was asked for; a server that answers none broke the contract.
fn present<T>(answered: Option<T>, what: &str) -> Result<T, CliError> {
    answered.ok_or_else(|| CliError::incomplete(what))
}

/// The fields that an update changes: those that were given, and those that go back to nothing.
#[derive(Debug, Default)]
struct Changes(Vec<String>);

impl Changes {
    /// How many there are.
    fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes the value over into its field, if it was given.
    fn set<T>(&mut self, path: &str, field: &mut T, given: Option<T>) {
        if let Some(value) = given {
            *field = value;
            self.0.push(path.to_owned());
        }
    }

    /// The same for a list, which is given when it has entries.
    fn set_list<T>(&mut self, path: &str, field: &mut Vec<T>, given: Vec<T>) {
        self.set(path, field, (!given.is_empty()).then_some(given));
    }

    /// Fields that become empty.
    fn clear(&mut self, paths: Vec<String>) -> Result<(), CliError> {
        for path in paths {
            if self.0.contains(&path) {
                return Err(CliError::usage(format!(
                    "--clear {path} contradicts the value given for it"
                )));
            }
            self.0.push(path);
        }
        Ok(())
    }

    fn into_mask(self) -> Result<prost_types::FieldMask, CliError> {
        if self.0.is_empty() {
            return Err(CliError::usage_with_hint(
                "nothing is to be changed",
                "name at least one setting; `--help` lists them",
            ));
        }
        Ok(prost_types::FieldMask { paths: self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_names_what_was_given() {
        let (mut name, mut scopes) = (String::new(), vec!["a".to_owned()]);
        let mut changes = Changes::default();
        changes.set("display_name", &mut name, Some("Shop".to_owned()));
        changes.set_list("scopes", &mut scopes, Vec::new());
        changes.clear(vec!["claims".to_owned()]).unwrap();
        assert!(changes.clear(vec!["display_name".to_owned()]).is_err());
        assert_eq!((name.as_str(), scopes.len()), ("Shop", 1));
        assert_eq!(changes.into_mask().unwrap().paths, ["display_name", "claims"]);
        assert!(Changes::default().into_mask().is_err());
    }
}
