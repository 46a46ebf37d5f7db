//! Files that are replaced while a process runs.
//!
//! They are looked at again and again instead of being watched by the kernel: that also works where they come over a network,
//! and for a mounted Kubernetes volume, whose files are replaced by turning a symbolic link.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often files are looked at unless said otherwise.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Files, or directories of them, and what they were like when they were last looked at.
#[derive(Debug)]
pub struct Watched {
    paths: Vec<PathBuf>,
    seen: Vec<Sight>,
}

/// What changes with a file, links followed. `None` where there is no file.
type Sight = (PathBuf, Option<Traits>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Traits {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Nobody can set it back, unlike the time of modification.
    changed: (i64, i64),
}

impl Watched {
    /// Looks at them. To be made before they are read: what is replaced meanwhile is then a change.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<_> = paths.into_iter().collect();
        let seen = look(&paths);
        Self { paths, seen }
    }

    /// Whether something is different from when this was last asked.
    pub fn changed(&mut self) -> bool {
        let now = look(&self.paths);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn look(paths: &[PathBuf]) -> Vec<Sight> {
    let mut sights = Vec::new();
    for path in paths {
        sights.push((path.clone(), traits(path)));
        let files = files_in(path).unwrap_or_default();
        sights.extend(files.into_iter().map(|file| {
            let traits = traits(&file);
            (file, traits)
        }));
    }
    sights
}

fn traits(path: &Path) -> Option<Traits> {
    let metadata = fs::metadata(path).ok()?;
    Some(Traits {
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.len(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// The files of a directory by name. Hidden ones are left out: a mounted Kubernetes volume has its versions under `..data`, and what
/// is still being written has a name of that kind too.
///
/// # Errors
/// It is no directory, or may not be read.
pub fn files_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn whatever_way_a_file_is_replaced_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let mut watched = Watched::new([file.clone()]);
        let mut seen_once = |what: &str| {
            assert!(watched.changed(), "{what}");
            assert!(!watched.changed(), "{what}, the second time");
        };
        fs::write(&file, "one").unwrap();
        seen_once("it came");
        fs::write(&file, "four").unwrap();
        seen_once("it was written over");
        fs::write(folder.path().join("next"), "five").unwrap();
        fs::rename(folder.path().join("next"), &file).unwrap();
        seen_once("another took its name");
        fs::remove_file(&file).unwrap();
        seen_once("it went");
    }

    #[test]
    fn a_mounted_volume_turns_its_link() {
        let volume = tempfile::tempdir().unwrap();
        let at = |name: &str| volume.path().join(name);
        for version in ["..1", "..2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("key"), "same").unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/key", at("key")).unwrap();
        assert_eq!(files_in(volume.path()).unwrap(), [at("key")]);
        let (mut file, mut directory) = (Watched::new([at("key")]), Watched::new([volume.path().to_owned()]));
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(file.changed() && directory.changed());
        assert!(!file.changed() && !directory.changed());
    }
}
