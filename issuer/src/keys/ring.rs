//! Keys of one kind that an issuer holds: one is in use, the older ones are for what lives of them, newer ones wait. What was
//! withdrawn stays in its file, but is not used for anything.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokenbind_runtime::watched::Watched;

use super::files::{self, KeyFile, KeyFileError};

/// A key that has a name.
pub trait Key: Send + Sync + 'static {
    /// Its name: the same on every issuer that holds it.
    fn id(&self) -> &str;

    /// Whether it is the same as another one of this name. A name that comes of the key itself leaves no doubt.
    fn is(&self, _other: &Self) -> bool {
        true
    }
}

/// What an issuer holds at one moment, in the order of age. At least one key.
pub struct Held<K> {
    keys: Vec<Arc<K>>,
    active: usize,
    /// Whether it was found out which one is to be used. Until then it is the newest.
    settled: bool,
    /// Names of keys that are not to be trusted any more, whether they are held or not.
    withdrawn: Arc<HashSet<String>>,
}

impl<K: Key> Held<K> {
    fn new(keys: Vec<Arc<K>>) -> Option<Self> {
        Some(Self {
            active: keys.len().checked_sub(1)?,
            keys,
            settled: false,
            withdrawn: Arc::default(),
        })
    }

    /// The same keys, of which another one is in use.
    fn using(&self, active: usize) -> Self {
        Self {
            keys: self.keys.clone(),
            active,
            settled: true,
            withdrawn: Arc::clone(&self.withdrawn),
        }
    }

    /// The one in use, or the last that was where every one is withdrawn: see [`Self::usable`].
    pub fn active(&self) -> &Arc<K> {
        &self.keys[self.active]
    }

    /// The one in use, for something new; `None` where every one is withdrawn.
    pub fn usable(&self) -> Option<&Arc<K>> {
        Some(self.active()).filter(|key| !self.is_withdrawn(key.id()))
    }

    /// Whether nothing may be done with the key of that name any more.
    pub(crate) fn is_withdrawn(&self, id: &str) -> bool {
        !self.withdrawn.is_empty() && self.withdrawn.contains(id)
    }

    /// The names of all that were withdrawn, held or not.
    pub(super) fn withdrawn(&self) -> &HashSet<String> {
        &self.withdrawn
    }

    /// The one in use, once it was found out which one that is.
    pub(super) fn in_use(&self) -> Option<&Arc<K>> {
        self.settled.then(|| self.active())
    }

    /// Every one that is not withdrawn, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<K>> {
        self.keys.iter().filter(|key| !self.is_withdrawn(key.id()))
    }

    /// The newest, which may still wait.
    pub(crate) fn newest(&self) -> &Arc<K> {
        self.iter().next_back().unwrap_or_else(|| self.active())
    }

    /// Those that are not superseded: the one of that name and the newer ones.
    pub(super) fn from(&self, id: &str) -> impl Iterator<Item = &Arc<K>> {
        let position = self.position(id).unwrap_or(self.active);
        self.keys[position..].iter().filter(|key| !self.is_withdrawn(key.id()))
    }

    /// The older ones than that in use, withdrawn or not: their files are still there.
    pub(super) fn superseded(&self) -> &[Arc<K>] {
        &self.keys[..self.active]
    }

    /// The key of that name.
    pub fn find(&self, id: &str) -> Option<&Arc<K>> {
        self.iter().find(|key| key.id() == id)
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.keys.iter().position(|key| key.id() == id)
    }

    /// Whether what was in use was withdrawn, so that another one has to take its place and nothing can be waited for.
    pub(super) fn is_bereft(&self) -> bool {
        self.settled && self.usable().is_none()
    }

    /// Which one is to be used at `now`, when `use_from` tells from when on each may be: the newest that may. Where none may, it
    /// stays as it is, or else it is the one that may first. For one that was withdrawn the newest comes at once. `None` where every
    /// one is withdrawn.
    pub(super) fn choose(&self, now: i64, use_from: impl Fn(&K) -> i64) -> Option<&Arc<K>> {
        if self.is_bereft() {
            return self.iter().next_back();
        }
        let ready = self.iter().rev().find(|key| use_from(key) <= now);
        let current = self.in_use().filter(|key| !self.is_withdrawn(key.id()));
        let first = || self.iter().rev().min_by_key(|key| use_from(key));
        ready.or(current).or_else(first)
    }
}

struct Source<K> {
    path: PathBuf,
    read: fn(&KeyFile) -> Result<K, KeyFileError>,
    watched: Watched,
    /// Why they could not be read the last time.
    failed: Option<String>,
}

/// The keys that an issuer holds now. They are swapped all at once.
pub struct Ring<K> {
    held: ArcSwap<Held<K>>,
    /// `None` for keys that were generated. Whoever changes what is held has it locked.
    source: Mutex<Option<Source<K>>>,
}

impl<K: Key> Ring<K> {
    /// A key file, or a directory of them in the order of their names.
    pub(crate) fn open(path: &Path, read: fn(&KeyFile) -> Result<K, KeyFileError>) -> Result<Self, KeyFileError> {
        // Before they are read: what comes meanwhile is then a change.
        let watched = Watched::new([path.to_owned()]);
        let held = read_all(path, read)?;
        Ok(Self {
            held: ArcSwap::from_pointee(held),
            source: Mutex::new(Some(Source {
                path: path.to_owned(),
                read,
                watched,
                failed: None,
            })),
        })
    }

    /// A key that only this process has.
    pub(crate) fn of(key: K) -> Self {
        let held = Held {
            keys: vec![Arc::new(key)],
            active: 0,
            settled: false,
            withdrawn: Arc::default(),
        };
        Self {
            held: ArcSwap::from_pointee(held),
            source: Mutex::new(None),
        }
    }

    /// What is held now.
    pub fn held(&self) -> Arc<Held<K>> {
        self.held.load_full()
    }

    /// The same for a moment.
    pub(crate) fn look(&self) -> Guard<Arc<Held<K>>> {
        self.held.load()
    }

    /// The key in use.
    pub fn active(&self) -> Arc<K> {
        Arc::clone(self.held.load().active())
    }

    /// Whether the keys came with this process and go with it.
    pub(super) fn is_generated(&self) -> bool {
        self.locked().is_none()
    }

    /// Takes in what changed of the files; the answer says whether there was something. What is in use stays in use while its file
    /// is there. `again` also reads files that look unchanged. An error is told once, and tried again.
    pub(crate) fn reload(&self, again: bool) -> Result<bool, KeyFileError> {
        let mut source = self.locked();
        let Some(source) = source.as_mut() else {
            return Ok(false);
        };
        if !source.watched.changed() && !again && source.failed.is_none() {
            return Ok(false);
        }
        let before = self.held.load();
        let next = read_all(&source.path, source.read);
        let mut next = match next.and_then(|next| without_impostor(&before, next, &source.path)) {
            Ok(next) => next,
            Err(error) if source.failed.replace(error.to_string()) == Some(error.to_string()) && !again => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        source.failed = None;
        next.withdrawn = Arc::clone(&before.withdrawn);
        if let Some(position) = next.position(before.active().id()) {
            (next.active, next.settled) = (position, before.settled);
        }
        self.held.store(Arc::new(next));
        Ok(true)
    }

    /// Holds one more generated key, which waits, and forgets those that were superseded.
    pub(super) fn add(&self, key: K) {
        let _locked = self.locked();
        let held = self.held.load();
        let mut keys: Vec<_> = held.from(held.active().id()).cloned().collect();
        keys.push(Arc::new(key));
        self.held.store(Arc::new(Held {
            keys,
            active: 0,
            settled: true,
            withdrawn: Arc::clone(&held.withdrawn),
        }));
    }

    /// Does nothing with the keys of these names any more, whether they are held or come later. The answer says which are new.
    pub(super) fn withdraw(&self, ids: impl IntoIterator<Item = String>) -> Vec<String> {
        let _locked = self.locked();
        let held = self.held.load();
        let new: Vec<_> = ids.into_iter().filter(|id| !held.withdrawn.contains(id)).collect();
        if !new.is_empty() {
            self.held.store(Arc::new(Held {
                keys: held.keys.clone(),
                active: held.active,
                settled: held.settled,
                withdrawn: Arc::new(held.withdrawn.iter().chain(&new).cloned().collect()),
            }));
        }
        new
    }

    /// Uses the key of that name from now on, if it is still there. The answer says whether that is another one than before.
    pub(crate) fn activate(&self, id: &str) -> bool {
        let _locked = self.locked();
        let held = self.held.load();
        let Some(active) = held.position(id).filter(|_| !held.is_withdrawn(id)) else {
            return false;
        };
        if held.settled && held.active == active {
            return false;
        }
        let differs = held.active != active;
        self.held.store(Arc::new(held.using(active)));
        differs
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Option<Source<K>>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key> fmt::Debug for Held<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|key| key.id())).finish()
    }
}

impl<K: Key> fmt::Debug for Ring<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.look().fmt(f)
    }
}

/// What lives of a key dies when another one takes its name, so that is told instead of done.
fn without_impostor<K: Key>(before: &Held<K>, next: Held<K>, path: &Path) -> Result<Held<K>, KeyFileError> {
    let held = |id: &str| before.keys.iter().find(|key| key.id() == id);
    let impostor = next
        .keys
        .iter()
        .find(|key| held(key.id()).is_some_and(|held| !held.is(key)));
    match impostor {
        None => Ok(next),
        Some(key) => {
            let problem = format!(
                "{} is another key than before under the same name: put the old one back, and give the new one a name of its own",
                key.id()
            );
            Err(KeyFileError::new(path, problem))
        }
    }
}

fn read_all<K: Key>(path: &Path, read: fn(&KeyFile) -> Result<K, KeyFileError>) -> Result<Held<K>, KeyFileError> {
    let keys = files::read(path)?.into_iter().map(|file| read(&file).map(Arc::new));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    Held::new(keys).ok_or_else(|| KeyFileError::new(path, "holds no key"))
}
