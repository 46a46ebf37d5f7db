//! What is refused before a handler sees it, and how long a handler may take.

use super::deadline::caller_timeout;
use crate::{
    config::ServerConfig,
    server::HEALTH,
    status,
    talk::{SideStream, Talk},
};
use http::HeaderMap;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tonic::{Code, Status};

/// Overload passes quickly; a caller that spreads its retries from here on finds room.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// What an entry counts on top of its name and value (RFC 9113 section 6.5.2).
const ENTRY_OVERHEAD: usize = 32;

/// Why a call or a request is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is more metadata than this, in bytes.
    MetadataTooLarge { most: usize },
    /// The caller has given up already.
    DeadlinePassed,
    /// Too much is being handled at once.
    Overloaded,
}

/// The limits of a server. Clones share one budget.
#[derive(Clone)]
pub(crate) struct Limits {
    open: Arc<AtomicUsize>,
    max_requests: usize,
    side_streams: Arc<AtomicUsize>,
    max_side_streams: usize,
    max_metadata_bytes: usize,
    timeout: Duration,
}

impl Limits {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            open: Arc::default(),
            max_requests: config.max_requests,
            side_streams: Arc::default(),
            // One for each client that watches the health of what it is connected to.
            max_side_streams: config.max_connections,
            max_metadata_bytes: usize::try_from(config.max_metadata_bytes).unwrap_or(usize::MAX),
            timeout: config.request_timeout,
        }
    }

    /// Takes a call of `service` in, or says why not.
    pub(crate) fn admit(&self, service: &str, headers: &HeaderMap, now: Instant) -> Result<Admission, Refusal> {
        self.check_metadata(headers)?;
        let caller_timeout = caller_timeout(headers);
        if caller_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Refusal::DeadlinePassed);
        }
        // Health is answered under overload too: a busy server that looks dead gets restarted, and its load moves to the
        // rest.
        let permit = if service == HEALTH { None } else { Some(self.permit()?) };
        Ok(Admission {
            deadline: now + caller_timeout.unwrap_or(self.timeout).min(self.timeout),
            caller_deadline: caller_timeout.and_then(|timeout| now.checked_add(timeout)),
            permit,
        })
    }

    /// Takes a stream at health or reflection in: whoever may connect may open them, and leave them open.
    pub(crate) fn admit_side_stream(&self, talk: &Arc<Talk>) -> Result<SideStream, Refusal> {
        let stream = talk.side_stream(&self.side_streams, self.max_side_streams);
        stream.ok_or(Refusal::Overloaded)
    }

    /// Takes an HTTP request in, or says why not.
    pub(crate) fn admit_request(&self, headers: &HeaderMap) -> Result<Permit, Refusal> {
        self.check_metadata(headers)?;
        self.permit()
    }

    fn check_metadata(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let most = self.max_metadata_bytes;
        (metadata_bytes(headers) <= most)
            .then_some(())
            .ok_or(Refusal::MetadataTooLarge { most })
    }

    /// Nobody waits for a permit, so a counter is enough.
    fn permit(&self) -> Result<Permit, Refusal> {
        let permit = Permit(Arc::clone(&self.open));
        (permit.0.fetch_add(1, Ordering::Relaxed) < self.max_requests)
            .then_some(permit)
            .ok_or(Refusal::Overloaded)
    }
}

/// Counts one call for as long as it lives.
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call that was taken in.
pub(crate) struct Admission {
    deadline: Instant,
    caller_deadline: Option<Instant>,
    permit: Option<Permit>,
}

impl Admission {
    /// When the caller gives up; for a stream, on all of it.
    pub(crate) fn caller_deadline(&self) -> Option<Instant> {
        self.caller_deadline
    }

    /// What the call counts by.
    pub(crate) fn into_permit(self) -> Option<Permit> {
        self.permit
    }

    /// When the call has to be answered, or its stream to begin.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }
}

pub(crate) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the deadline of the call has passed")
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let exhausted = Code::ResourceExhausted;
        match refusal {
            Refusal::MetadataTooLarge { most } => status::with_reason(
                exhausted,
                "METADATA_TOO_LARGE",
                format!("metadata exceeds {most} bytes"),
            ),
            Refusal::DeadlinePassed => deadline_exceeded(),
            Refusal::Overloaded => status::retry_after(exhausted, "OVERLOADED", "too many calls at once", RETRY_DELAY),
        }
    }
}

fn metadata_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ENTRY_OVERHEAD)
        .sum()
}
