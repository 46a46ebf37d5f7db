//! What is refused before a handler sees it, and how long a handler may take.

use super::deadline::caller_timeout;
use crate::{config::ServerConfig, server::HEALTH, status};
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

/// The limits of a server. Clones share one budget.
#[derive(Clone)]
pub(crate) struct Limits {
    open: Arc<AtomicUsize>,
    max_requests: usize,
    max_metadata_bytes: usize,
    timeout: Duration,
}

impl Limits {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            open: Arc::default(),
            max_requests: config.max_requests,
            max_metadata_bytes: usize::try_from(config.max_metadata_bytes).unwrap_or(usize::MAX),
            timeout: config.request_timeout,
        }
    }

    /// Takes a call of `service` in, or says why not.
    pub(crate) fn admit(&self, service: &str, headers: &HeaderMap, now: Instant) -> Result<Admission, Status> {
        if metadata_bytes(headers) > self.max_metadata_bytes {
            let message = format!("metadata exceeds {} bytes", self.max_metadata_bytes);
            return Err(status::with_reason(
                Code::ResourceExhausted,
                "METADATA_TOO_LARGE",
                message,
            ));
        }
        let caller_timeout = caller_timeout(headers);
        if caller_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(deadline_exceeded());
        }
        // Health is answered under overload too: a busy server that looks dead gets restarted, and its load moves to the
        // rest.
        let permit = if service == HEALTH {
            None
        } else {
            Some(self.permit().ok_or_else(overloaded)?)
        };
        Ok(Admission {
            deadline: now + caller_timeout.unwrap_or(self.timeout).min(self.timeout),
            caller_deadline: caller_timeout.and_then(|timeout| now.checked_add(timeout)),
            _permit: permit,
        })
    }

    /// Nobody waits for a permit, so a counter is enough.
    fn permit(&self) -> Option<Permit> {
        let permit = Permit(Arc::clone(&self.open));
        (permit.0.fetch_add(1, Ordering::Relaxed) < self.max_requests).then_some(permit)
    }
}

/// Counts one call for as long as it lives.
struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call that was taken in.
pub(crate) struct Admission {
    deadline: Instant,
    caller_deadline: Option<Instant>,
    _permit: Option<Permit>,
}

impl Admission {
    /// When the caller gives up; for a stream, on all of it.
    pub(crate) fn caller_deadline(&self) -> Option<Instant> {
        self.caller_deadline
    }

    /// When the call has to be answered, or its stream to begin.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }
}

pub(crate) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the deadline of the call has passed")
}

fn overloaded() -> Status {
    status::retry_after(
        Code::ResourceExhausted,
        "OVERLOADED",
        "too many calls at once",
        RETRY_DELAY,
    )
}

fn metadata_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ENTRY_OVERHEAD)
        .sum()
}
