//! What is under way on one connection, and does its client take what it is answered?
//!
//! Over HTTP/2 a client can leave no room for an answer and go on asking. No write stalls then, because none is tried, so the answers
//! themselves are watched.

use crate::connection::STALL_TIMEOUT;
use http::Version;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time;

/// The most streams that a connection may leave open at health and reflection: a client watches a service or a few.
const MAX_SIDE_STREAMS: usize = 16;
/// Three: one that fills, one before it, and one that has to be empty.
const TURNS: usize = 3;

/// One connection.
#[derive(Default)]
pub(crate) struct Talk {
    turn: AtomicUsize,
    /// By the turn in which the client was to take something, how many answers it did not yet take.
    untaken: [AtomicUsize; TURNS],
    side_streams: AtomicUsize,
    is_http2: AtomicBool,
}

impl Talk {
    /// Waits until the client has left an answer where it is for too long.
    pub(crate) async fn stalled(&self) {
        loop {
            time::sleep(STALL_TIMEOUT).await;
            let turn = self.turn.load(Ordering::Relaxed) + 1;
            self.turn.store(turn, Ordering::Relaxed);
            // The one that is used next, so what is in it is from the turn before the last.
            if self.untaken[(turn + 1) % TURNS].load(Ordering::Relaxed) > 0 {
                return;
            }
        }
    }

    /// A request came by this version of HTTP.
    pub(crate) fn heard(&self, version: Version) {
        if version == Version::HTTP_2 && !self.is_http2.load(Ordering::Relaxed) {
            self.is_http2.store(true, Ordering::Relaxed);
        }
    }

    /// Waits until the connection is so old that its client should make another one. Over HTTP/1.1 there is no way to say so that a
    /// request could not cross, and what is idle ends soon.
    pub(crate) async fn aged(&self, age: Option<Duration>) {
        let Some(age) = age else {
            return std::future::pending().await;
        };
        loop {
            time::sleep(age).await;
            if self.is_http2.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Room for one more stream of this connection at health or reflection, if there is any here and among all (`open` of `most`).
    pub(crate) fn side_stream(self: &Arc<Self>, open: &Arc<AtomicUsize>, most: usize) -> Option<SideStream> {
        let stream = SideStream {
            talk: Arc::clone(self),
            open: Arc::clone(open),
        };
        // Both are counted before either is looked at: the drop takes both back.
        let here = self.side_streams.fetch_add(1, Ordering::Relaxed);
        let everywhere = open.fetch_add(1, Ordering::Relaxed);
        (here < MAX_SIDE_STREAMS && everywhere < most).then_some(stream)
    }
}

/// An open stream at health or reflection.
pub(crate) struct SideStream {
    talk: Arc<Talk>,
    open: Arc<AtomicUsize>,
}

impl Drop for SideStream {
    fn drop(&mut self) {
        self.talk.side_streams.fetch_sub(1, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One answer of a connection. While its client is to take something of it, it counts.
pub(crate) struct Handed {
    talk: Arc<Talk>,
    since: Option<usize>,
}

impl Handed {
    /// An answer that is handed over now.
    pub(crate) fn now(talk: Arc<Talk>) -> Self {
        let mut handed = Self { talk, since: None };
        handed.more();
        handed
    }

    /// There is more to take.
    pub(crate) fn more(&mut self) {
        let turn = self.talk.turn.load(Ordering::Relaxed) % TURNS;
        if self.since != Some(turn) {
            self.none();
            self.talk.untaken[turn].fetch_add(1, Ordering::Relaxed);
            self.since = Some(turn);
        }
    }

    /// There is nothing to take for now.
    pub(crate) fn none(&mut self) {
        if let Some(turn) = self.since.take() {
            self.talk.untaken[turn].fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.none();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_stalled_within(talk: &Talk, turns: u32) -> bool {
        let patience = STALL_TIMEOUT * turns + Duration::from_millis(1);
        time::timeout(patience, talk.stalled()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_answer_that_stays_where_it_is_stalls() {
        let talk = Arc::new(Talk::default());
        assert!(!is_stalled_within(&talk, 5).await);
        let mut answer = Handed::now(Arc::clone(&talk));
        for _ in 0..5 {
            assert!(!is_stalled_within(&talk, 1).await);
            answer.more();
        }
        // It waits for something to tell.
        answer.none();
        assert!(!is_stalled_within(&talk, 5).await);
        answer.more();
        let taken = Handed::now(Arc::clone(&talk));
        drop(taken);
        assert!(is_stalled_within(&talk, 3).await);
        drop(answer);
        assert!(!is_stalled_within(&talk, 5).await);
    }

    #[test]
    fn side_streams_are_bounded_here_and_everywhere() {
        let open = Arc::default();
        let talk = Arc::new(Talk::default());
        let room = |most| talk.side_stream(&open, most);
        let held: Vec<_> = (0..MAX_SIDE_STREAMS).map(|_| room(100).unwrap()).collect();
        assert!(room(100).is_none());
        let other = Arc::new(Talk::default());
        assert!(other.side_stream(&open, MAX_SIDE_STREAMS).is_none());
        assert!(other.side_stream(&open, MAX_SIDE_STREAMS + 1).is_some());
        drop(held);
        assert!(room(1).is_some());
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }
}
