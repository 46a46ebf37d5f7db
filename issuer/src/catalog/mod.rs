//! What operators declare in a file, the same for every issuer: applications, users, resources, and whom the issuer trusts.
//!
//! A file that has anything wrong is refused as a whole, and all that is wrong is told. Its format is in `docs/catalog.md`.

mod authentication;
mod digest;
mod errors;
mod fields;
mod file;
mod parts;
mod patrol;
mod publish;
mod seed;
mod source;
#[cfg(test)]
mod tests;
mod trust;
mod words;
mod yaml;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, UserRecord};

pub use self::errors::{CatalogError, CatalogErrors};
pub(crate) use self::patrol::Patrol;
pub use self::publish::{PublishError, Published};
pub use self::source::CatalogSource;
use crate::trust::{ExchangePolicy, TrustDeclaration};

/// The largest file, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What is declared, by id. Known to be good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    applications: BTreeMap<String, ApplicationRecord>,
    users: BTreeMap<String, UserRecord>,
    resources: BTreeMap<String, ResourceRecord>,
    trust: TrustDeclaration,
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
        Self::parse_in(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, CatalogErrors> {
        Self::parse_in(text, Path::new(""))
    }

    /// The files that it names are in this folder.
    fn parse_in(text: &str, folder: &Path) -> Result<Self, CatalogErrors> {
        let mut errors = CatalogErrors::default();
        let parts = file::read(text, folder, &mut errors);
        parts.check(errors)
    }

    /// Whom the issuer trusts, and what may be exchanged.
    pub fn trust(&self) -> &TrustDeclaration {
        &self.trust
    }

    /// The same with further policies, which were put together by a program.
    #[must_use]
    pub fn with_policies(mut self, policies: Vec<ExchangePolicy>) -> Self {
        self.trust.policies.extend(policies);
        self
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
            trust: TrustDeclaration::default(),
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
