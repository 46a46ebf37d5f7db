//! A catalog that follows its file.

use std::path::{Path, PathBuf};

use tokenbind_runtime::watched::Watched;

use super::{Catalog, CatalogErrors};

/// What is declared, and where it comes from.
#[derive(Debug)]
pub struct CatalogSource {
    catalog: Catalog,
    /// `None` for a catalog that was put together by a program.
    file: Option<CatalogFile>,
}

#[derive(Debug)]
struct CatalogFile {
    path: PathBuf,
    watched: Watched,
    /// What was wrong with it the last time.
    errors: Option<CatalogErrors>,
}

impl From<Catalog> for CatalogSource {
    fn from(catalog: Catalog) -> Self {
        Self { catalog, file: None }
    }
}

impl CatalogSource {
    /// Reads a file, to be followed from now on together with those that lie beside it, which it may name.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open(path: &Path) -> Result<Self, CatalogErrors> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        // Before it is read: what comes meanwhile is then a change.
        let watched = Watched::new([path.to_owned(), folder]);
        Ok(Self {
            catalog: Catalog::load(path)?,
            file: Some(CatalogFile {
                path: path.to_owned(),
                watched,
                errors: None,
            }),
        })
    }

    /// What is declared.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Reads the file again if it has changed. The answer says whether it declares something else now. What cannot be used changes
    /// nothing, is told once, and tried again.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub(crate) fn reload(&mut self) -> Result<bool, CatalogErrors> {
        let Some(file) = &mut self.file else { return Ok(false) };
        if !file.watched.changed() && file.errors.is_none() {
            return Ok(false);
        }
        match Catalog::load(&file.path) {
            Ok(catalog) => {
                file.errors = None;
                let differs = catalog != self.catalog;
                self.catalog = catalog;
                Ok(differs)
            }
            Err(errors) if file.errors.as_ref() == Some(&errors) => Ok(false),
            Err(errors) => {
                file.errors = Some(errors.clone());
                Err(errors)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_bad_file_leaves_what_was_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.yaml");
        let one = "version: 1\nusers:\n  - {username: alice, password_hash: x}\n";
        fs::write(&path, "version: 1\n").unwrap();
        let mut source = CatalogSource::open(&path).unwrap();
        assert!(!source.reload().unwrap());
        fs::write(&path, one).unwrap();
        let errors = source.reload().unwrap_err();
        assert!(!errors.0.is_empty());
        assert!(!source.reload().unwrap(), "told once");
        assert_eq!(source.catalog(), &Catalog::default());
        let good = "version: 1\nresources:\n  - {resource_id: orders, secret_sha256: \
                    [b1fd0d2a410ffcfd2a2c3f0375ad6fb03d87871abf52c4583e4e3dd65a8bc358]}\n";
        fs::write(&path, good).unwrap();
        assert!(source.reload().unwrap());
        // The same in other words is no change.
        fs::write(&path, format!("# again\n{good}")).unwrap();
        assert!(!source.reload().unwrap());
        assert_ne!(source.catalog(), &Catalog::default());
    }
}
