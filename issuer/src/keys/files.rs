//! Reads key material from a file, or from a directory of them.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokenbind_runtime::watched::files_in;
use zeroize::Zeroizing;

/// No key of ours comes near this, so something longer is not a key. Bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Keys are few: one that signs and some that end.
const MAX_FILES: usize = 64;

/// A key cannot be used. Names the file and never its content.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct KeyFileError {
    /// Which file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl KeyFileError {
    /// A problem with one file.
    pub fn new(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// A file and what it holds.
pub(crate) struct KeyFile {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

/// The file, or every file of the directory in the order of their names: at least one, the last is the newest.
pub(crate) fn read(path: &Path) -> Result<Vec<KeyFile>, KeyFileError> {
    let metadata = fs::metadata(path).map_err(|error| KeyFileError::new(path, error))?;
    if !metadata.is_dir() {
        return Ok(vec![read_file(path)?]);
    }
    let paths = files_in(path).map_err(|error| KeyFileError::new(path, error))?;
    if paths.is_empty() || paths.len() > MAX_FILES {
        return Err(KeyFileError::new(
            path,
            format!("must hold 1 to {MAX_FILES} key files, holds {}", paths.len()),
        ));
    }
    paths.iter().map(|path| read_file(path)).collect()
}

fn read_file(path: &Path) -> Result<KeyFile, KeyFileError> {
    let failed = |problem: &dyn ToString| KeyFileError::new(path, problem.to_string());
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| failed(&"its name is not UTF-8"))?;
    let file = fs::File::open(path).map_err(|error| failed(&error))?;
    let mut content = Zeroizing::new(Vec::with_capacity(4_096));
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(|error| failed(&error))?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(failed(&format!("is longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(KeyFile {
        path: path.to_owned(),
        name: name.to_owned(),
        content,
    })
}
