//! Files that only their owner may read.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::CliError;

/// Writes a new file of mode 0600. What is there already stays: it may be the only copy of a key.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<(), CliError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CliError::usage_with_hint(
            format!("{} exists already and is not overwritten", path.display()),
            "choose another name; the last by name in a directory of keys is the one in use",
        ),
        _ => CliError::usage(format!("cannot write {}: {error}", path.display())),
    })?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(|error| CliError::Internal(format!("cannot write {}: {error}", path.display())))
}
