//! Documents of one kind, decoded once and kept for as long as the index tells their changes.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use tokenbind_index::{
    Clock, Confirmed, Document, DocumentKind, Generation, IndexError, Revision, Stamp, Store, TrackedIndex,
};

use crate::question::Consistency;
use crate::verdict::Freshness;

/// More documents of a kind are not kept; further ones are read each time they are needed.
const MAX_KEPT: usize = 10_000;

/// How old an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Anything that is kept may be used: what it changed into would have been told.
    Kept(Confirmed),
    /// The same, and it was confirmed after the question came: what is kept is as good as read.
    Confirmed(Confirmed),
    /// Everything is read now.
    Now,
}

impl Bound {
    /// How old the answer to a question may be: what is kept is used only while the index is heard.
    pub fn of(consistency: Consistency, tracking: Option<&dyn TrackedIndex>) -> Self {
        let confirmed = tracking.and_then(TrackedIndex::confirmed).map(Self::Kept);
        confirmed
            .filter(|kept| kept.satisfies(consistency))
            .unwrap_or(Self::Now)
    }

    /// The same, but where what is known is not fresh enough the index is asked whether it still holds. That is one question
    /// for everybody who waits, whatever they ask about.
    pub(crate) async fn confirmed(consistency: Consistency, tracking: Option<&dyn TrackedIndex>) -> Self {
        let known = Self::of(consistency, tracking);
        match (known, consistency, tracking) {
            (Self::Kept(_) | Self::Confirmed(_), ..) | (_, Consistency::MinimizeLatency, _) | (.., None) => known,
            (Self::Now, _, Some(tracking)) => {
                let confirmed = tracking.confirm().await.map(Self::Confirmed);
                let enough = confirmed.ok().filter(|bound| bound.satisfies(consistency));
                enough.unwrap_or(Self::Now)
            }
        }
    }

    /// Whether an answer that was this fresh is fresh enough for a question.
    pub(crate) fn satisfies(self, consistency: Consistency) -> bool {
        match (self, consistency) {
            (Self::Now, _)
            | (Self::Kept(_), Consistency::MinimizeLatency)
            | (Self::Confirmed(_), Consistency::MinimizeLatency | Consistency::FullyConsistent) => true,
            // Another write may have the same microsecond and come after the heartbeat.
            (Self::Kept(known) | Self::Confirmed(known), Consistency::AtLeastAsFresh(revision)) => {
                known.revision > revision
            }
            (Self::Kept(_), Consistency::FullyConsistent) => false,
        }
    }
}

/// The present of one call, taken once for all that it looks at: what is kept may be used if what was told up to here did
/// not change it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The time of day, in microseconds since 1970. It was asked first: an answer is never younger than it says.
    pub(crate) at_us: u64,
    /// How much of what is kept may be used: [`Bound::Now`] for nothing.
    pub(crate) bound: Bound,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock, tracking: Option<&dyn TrackedIndex>) -> Self {
        Self {
            at_us: clock.now_us(),
            bound: Bound::of(Consistency::MinimizeLatency, tracking),
        }
    }

    /// The present as a question wants it: the index may have to be asked whether what is kept still holds.
    pub(crate) async fn of(consistency: Consistency, clock: &dyn Clock, tracking: Option<&dyn TrackedIndex>) -> Self {
        Self {
            at_us: clock.now_us(),
            bound: Bound::confirmed(consistency, tracking).await,
        }
    }

    /// How fresh an answer from what is kept is, if that is enough for a question.
    pub(crate) fn freshness(self, revision: Revision, consistency: Consistency) -> Option<Freshness> {
        match self.bound {
            bound if !bound.satisfies(consistency) => None,
            Bound::Kept(confirmed) => Some(Freshness::of_cache(self.at_us, revision, confirmed.age_us)),
            // The index was asked for this answer, and said that nothing has changed.
            Bound::Confirmed(_) => Some(Freshness::of_index(self.at_us, revision)),
            Bound::Now => None,
        }
    }
}

/// What a document says, or that there is none.
type Decoded<T> = Option<Arc<T>>;

/// A document that others can hold on to: it is renewed in place.
pub(crate) struct Kept<T> {
    id: Box<str>,
    last: ArcSwapOption<(Decoded<T>, Stamp)>,
    /// What was decoded last, and of which document.
    decoded: ArcSwapOption<(Edition, Arc<T>)>,
}

impl<T> Kept<T> {
    /// Of what was decoded last.
    fn edition(&self) -> Option<Edition> {
        self.decoded.load().as_ref().map(|decoded| decoded.0)
    }
}

/// Which of the documents that an id had one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Edition {
    version: u64,
    generation: Generation,
}

impl Edition {
    fn of(document: &Document) -> Self {
        Self {
            version: document.version,
            generation: document.generation,
        }
    }
}

/// Reads documents of one kind.
pub(crate) struct Documents<T> {
    kind: DocumentKind,
    decode: fn(&str, &Document) -> Result<T, IndexError>,
    store: Arc<dyn Store>,
    tracking: Option<Arc<dyn TrackedIndex>>,
    kept: Cache<Box<str>, Arc<Kept<T>>>,
}

impl<T> Documents<T> {
    pub(crate) fn new(
        kind: DocumentKind,
        decode: fn(&str, &Document) -> Result<T, IndexError>,
        store: Arc<dyn Store>,
        tracking: Option<Arc<dyn TrackedIndex>>,
    ) -> Self {
        Self {
            kind,
            decode,
            store,
            tracking,
            kept: Cache::new(MAX_KEPT),
        }
    }

    /// A document, as fresh as it must be. Anybody can ask by any name: only what was there once takes a place here, and
    /// in the index's memory of what it tells.
    pub(crate) async fn get(&self, id: &str, bound: Bound) -> Result<Decoded<T>, IndexError> {
        match (bound, self.kept.get(id)) {
            (Bound::Now, _) => self.read(id).await,
            (_, Some(handle)) => self.current(&handle).await,
            (_, None) => match self.read(id).await? {
                Some(_) => self.current(&self.handle(id)).await,
                None => Ok(None),
            },
        }
    }

    /// What is needed of a document that is kept and may be used, by a handle. Nothing is counted, and so nothing that all
    /// threads share is written. The outer `None` is for what has to be read.
    #[expect(clippy::option_option, reason = "not kept, and kept that there is none")]
    pub(crate) fn kept_part<P>(&self, handle: &Kept<T>, part: impl Fn(&T) -> P) -> Option<Option<P>> {
        let last = handle.last.load();
        let last = last.as_deref()?;
        let current = self.tracking.as_deref()?.is_current(&last.1);
        current.then(|| last.0.as_deref().map(part))
    }

    /// What is needed of a document, by a handle, which saves the look-up.
    pub(crate) async fn part_of<P>(
        &self,
        handle: &Kept<T>,
        bound: Bound,
        part: impl Fn(&T) -> P,
    ) -> Result<Option<P>, IndexError> {
        if bound != Bound::Now
            && let Some(kept) = self.kept_part(handle, &part)
        {
            return Ok(kept);
        }
        let document = match bound {
            Bound::Now => self.read(&handle.id).await,
            Bound::Kept(_) | Bound::Confirmed(_) => self.current(handle).await,
        };
        Ok(document?.as_deref().map(part))
    }

    /// A stamp that turns old with the next change of a document.
    pub(crate) async fn stamp(&self, id: &str) -> Result<Stamp, IndexError> {
        self.stamp_of(&self.handle(id)).await
    }

    /// The same by a handle.
    pub(crate) async fn stamp_of(&self, handle: &Kept<T>) -> Result<Stamp, IndexError> {
        let unheard = || IndexError::Unavailable("changes are not being told".to_owned());
        let tracking = self.tracking.as_deref().ok_or_else(unheard)?;
        match &*handle.last.load() {
            Some(last) if tracking.is_current(&last.1) => Ok(last.1),
            _ => self.renew(handle, tracking).await.map(|(_, stamp)| stamp),
        }
    }

    /// A document that is kept and may be used. The outer `None` is for what has to be read.
    pub(crate) fn kept(&self, id: &str) -> Option<Decoded<T>> {
        let last = self.kept.get(id)?.last.load_full()?;
        self.tracking.as_deref()?.is_current(&last.1).then(|| last.0.clone())
    }

    /// The stamp of a document that is kept and may be used.
    pub(crate) fn current_stamp(&self, id: &str) -> Option<Stamp> {
        let last = self.kept.get(id)?.last.load_full()?;
        self.tracking.as_deref()?.is_current(&last.1).then_some(last.1)
    }

    /// A document as it was when the index was last heard, and when that was.
    pub(crate) fn last_known(&self, id: &str) -> Option<(Decoded<T>, Confirmed)> {
        self.last_known_by(&*self.kept.get(id)?)
    }

    /// The same by a handle.
    pub(crate) fn last_known_by(&self, handle: &Kept<T>) -> Option<(Decoded<T>, Confirmed)> {
        let last = handle.last.load_full()?;
        let known = self.tracking.as_deref()?.last_known(&last.1)?;
        Some((last.0.clone(), known))
    }

    /// What to hold on to.
    pub(crate) fn handle(&self, id: &str) -> Arc<Kept<T>> {
        self.kept.get(id).unwrap_or_else(|| {
            let handle = Arc::new(Kept {
                id: id.into(),
                last: ArcSwapOption::empty(),
                decoded: ArcSwapOption::empty(),
            });
            self.kept.insert(id.into(), Arc::clone(&handle));
            handle
        })
    }

    async fn current(&self, kept: &Kept<T>) -> Result<Decoded<T>, IndexError> {
        let Some(tracking) = &self.tracking else {
            return self.read(&kept.id).await;
        };
        if let Some(last) = &*kept.last.load()
            && tracking.is_current(&last.1)
        {
            return Ok(last.0.clone());
        }
        match self.renew(kept, tracking.as_ref()).await {
            Ok((decoded, _)) => Ok(decoded),
            // The other connection may do better; what it reads is not kept.
            Err(IndexError::Unavailable(_)) => self.read(&kept.id).await,
            Err(error) => Err(error),
        }
    }

    async fn renew(&self, kept: &Kept<T>, tracking: &dyn TrackedIndex) -> Result<(Decoded<T>, Stamp), IndexError> {
        let read = tracking.document_tracked(self.kind, &kept.id).await?;
        let decoded = self.decode(&kept.id, read.value)?;
        kept.last.store(Some(Arc::new((decoded.clone(), read.stamp))));
        Ok((decoded, read.stamp))
    }

    async fn read(&self, id: &str) -> Result<Decoded<T>, IndexError> {
        let document = self.store.document(self.kind, id).await?;
        self.learn(id, document.as_ref());
        self.decode(id, document)
    }

    /// What is kept, or being read, may be from before what was read now: it must not outlive this answer.
    fn learn(&self, id: &str, document: Option<&Document>) {
        let Some(tracking) = &self.tracking else { return };
        let known = self.kept.get(id).and_then(|handle| handle.edition());
        if document.is_none() || document.map(Edition::of) != known {
            tracking.learned_document(self.kind, id);
        }
    }

    /// What a document says. One that has not changed since it was last read is not taken apart again.
    fn decode(&self, id: &str, document: Option<Document>) -> Result<Decoded<T>, IndexError> {
        let Some(document) = document else { return Ok(None) };
        let edition = Edition::of(&document);
        let handle = self.kept.get(id);
        if let Some(handle) = &handle
            && let Some(last) = &*handle.decoded.load()
            && last.0 == edition
        {
            return Ok(Some(Arc::clone(&last.1)));
        }
        let decoded = Arc::new((self.decode)(id, &document)?);
        if let Some(handle) = handle {
            handle.decoded.store(Some(Arc::new((edition, Arc::clone(&decoded)))));
        }
        Ok(Some(decoded))
    }
}
