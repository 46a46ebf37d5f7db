//! What operators declare in a file: applications, users and resources, the same for every issuer.
//!
//! A file that has anything wrong is refused as a whole, and all that is wrong is told. Its format is in `docs/catalog.md`.

mod digest;
mod errors;
mod fields;
mod file;
mod parts;
mod publish;
mod seed;
#[cfg(test)]
mod tests;
mod words;
mod yaml;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, UserRecord};

pub use self::errors::{CatalogError, CatalogErrors};
pub use self::publish::{PublishError, Published};

/// The largest file, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What is declared, by id. Known to be good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    applications: BTreeMap<String, ApplicationRecord>,
    users: BTreeMap<String, UserRecord>,
    resources: BTreeMap<String, ResourceRecord>,
}

impl Catalog {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, CatalogErrors> {
        let text = read(path).map_err(|error| {
            let mut errors = CatalogErrors::default();
            errors.push("", None, format!("{} cannot be read: {error}", path.display()));
            errors
        })?;
        Self::parse(&text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, CatalogErrors> {
        let mut errors = CatalogErrors::default();
        let parts = file::read(text, &mut errors);
        parts.check(errors)
    }

    /// A catalog that was put together by a program. The `source` in the records does not matter.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_records(
        applications: Vec<ApplicationRecord>,
        users: Vec<UserRecord>,
        resources: Vec<ResourceRecord>,
    ) -> Result<Self, CatalogErrors> {
        let parts = parts::Parts {
            applications: parts::entries("applications", applications),
            users: parts::entries("users", users),
            resources: parts::entries("resources", resources),
        };
        parts.check(CatalogErrors::default())
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_FILE_BYTES) {
        return Ok(text);
    }
    Err(io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it is larger than {MAX_FILE_BYTES} bytes"),
    ))
}
