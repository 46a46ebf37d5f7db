//! A call until its answer begins.

use super::{
    Answer,
    call::{AnswerBody, Call, Held},
    limits::{Admission, deadline_exceeded},
    panicked,
};
use crate::talk::SideStream;
use http::Response;
use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::{Sleep, sleep_until};
use tonic::Status;

/// A call that is being handled: in its span, no longer than its deadline, and with a net under panics. Written out, because
/// nearly every call is answered at the first poll, and then needs neither a timer nor memory of its own.
pub(crate) struct Handled {
    work: Work,
    /// Until it is answered.
    call: Option<Call>,
}

enum Work {
    /// It was taken in.
    Admitted {
        answer: Answer,
        admission: Admission,
        timer: Option<Pin<Box<Sleep>>>,
        side: Option<SideStream>,
    },
    /// It is answered without its handler.
    Refused(Status),
}

impl Handled {
    pub(crate) fn by(answer: Answer, call: Call, admission: Admission, side: Option<SideStream>) -> Self {
        let timer = None;
        Self {
            work: Work::Admitted {
                answer,
                admission,
                timer,
                side,
            },
            call: Some(call),
        }
    }

    pub(crate) fn refused(status: Status, call: Call) -> Self {
        Self {
            work: Work::Refused(status),
            call: Some(call),
        }
    }
}

impl Future for Handled {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { work, call } = &mut *self;
        // Polled again after its end, which nothing does.
        let Some(observed) = call else { return Poll::Pending };
        let span = observed.span().clone();
        let _entered = span.enter();
        let (response, caller_deadline) = match work {
            Work::Refused(status) => (std::mem::replace(status, Status::ok("")).into_http(), None),
            Work::Admitted {
                answer,
                admission,
                timer,
                ..
            } => match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
                Ok(Poll::Ready(Ok(response))) => (response, admission.caller_deadline()),
                // The caller learns that something broke, and nothing about what. The panic hook has told the log.
                Err(_) => (panicked().into_http(), None),
                Ok(Poll::Pending) => {
                    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(admission.deadline())));
                    if timer.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    (deadline_exceeded().into_http(), None)
                }
            },
        };
        let Some(call) = call.take() else { return Poll::Pending };
        // Whatever still runs of the call ends.
        let held = match std::mem::replace(work, Work::Refused(Status::ok(""))) {
            Work::Admitted { admission, side, .. } => Held {
                // The call counts against the limit until its answer was taken, but for a stream: one that waits for something to
                // happen costs no work.
                _permit: admission.into_permit().filter(|_| !call.answers_stream()),
                _side: side,
            },
            Work::Refused(_) => Held::default(),
        };
        Poll::Ready(Ok(call.answer(response, caller_deadline, held)))
    }
}
