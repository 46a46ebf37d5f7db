//! `StreamValidate`: questions as they come, answers as they are ready.

use std::pin::pin;
use std::task::Poll;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture, poll};
use tokenbind_proto::answering::StreamValidateResponse;
use tokenbind_proto::answering::stream_validate_response::Answer;
use tokenbind_proto::v1::StreamValidateRequest;
use tokio::sync::mpsc::{Permit, Sender};
use tonic::Status;

use super::place::Place;
use super::{ValidationGrpc, request, status};
use crate::caller::{CallerError, PresentedCredentials};

/// How many questions of one stream are open: being judged, or answered and not taken yet.
pub(crate) const MAX_OPEN: usize = 256;

type Judged = Result<StreamValidateResponse, Status>;

impl ValidationGrpc {
    /// Answers every question until they end; an error ends the stream.
    pub(crate) async fn answer_all(
        self,
        credentials: PresentedCredentials,
        questions: impl Stream<Item = Result<StreamValidateRequest, Status>>,
        answers: Sender<StreamValidateResponse>,
    ) -> Result<(), Status> {
        let mut open = FuturesUnordered::new();
        let mut questions = pin!(questions);
        let mut stopped = pin!(self.calls.stopped());
        let mut room = None;
        loop {
            tokio::select! {
                biased;
                Some(judged) = open.next() => judged?,
                question = next(&mut questions, &answers, &mut room) => {
                    let (Some(question), Some(room)) = (question, room.take()) else { break };
                    let judging = self.judge_one(&credentials, question?).boxed();
                    start(judging, room, &mut open).await?;
                }
                () = &mut stopped => {
                    finish(&mut open).await?;
                    return Err(status::stopping());
                }
            }
        }
        finish(&mut open).await
    }

    /// The answer to one question; an error is one of the caller, and ends the stream.
    async fn judge_one(&self, credentials: &PresentedCredentials, question: StreamValidateRequest) -> Judged {
        let answer = match self.callers.verify(credentials).await {
            Ok(caller) => match request::check_field(question.request.as_ref()) {
                Ok((request, checked)) => self.answer(&caller, request, checked, Place::Field).await,
                Err(wrong) => Err(wrong),
            },
            Err(error @ CallerError::Unavailable(_)) => Err(status::caller(&error)),
            Err(error) => return Err(status::caller(&error)),
        };
        let answer = match answer {
            Ok(response) => Answer::Response(response),
            Err(error) => Answer::Error(status::element(&error)),
        };
        Ok(StreamValidateResponse {
            correlation_id: question.correlation_id,
            answer: Some(answer),
        })
    }
}

/// The next question, read only once there is room for its answer. Nothing is lost when it is dropped.
async fn next<'a>(
    questions: &mut (impl Stream<Item = Result<StreamValidateRequest, Status>> + Unpin),
    answers: &'a Sender<StreamValidateResponse>,
    room: &mut Option<Permit<'a, StreamValidateResponse>>,
) -> Option<Result<StreamValidateRequest, Status>> {
    if room.is_none() {
        // An error says that nobody takes answers any more.
        *room = Some(answers.reserve().await.ok()?);
    }
    // Signatures are checked between the reads; a stream of them must not keep a thread from everybody else.
    tokio::task::consume_budget().await;
    questions.next().await
}

/// Most answers are known at once; the others wait among those that are open.
async fn start<'a>(
    mut judging: BoxFuture<'a, Judged>,
    room: Permit<'a, StreamValidateResponse>,
    open: &mut FuturesUnordered<BoxFuture<'a, Result<(), Status>>>,
) -> Result<(), Status> {
    if let Poll::Ready(judged) = poll!(&mut judging) {
        room.send(judged?);
        return Ok(());
    }
    open.push(
        async move {
            room.send(judging.await?);
            Ok(())
        }
        .boxed(),
    );
    Ok(())
}

async fn finish(open: &mut FuturesUnordered<BoxFuture<'_, Result<(), Status>>>) -> Result<(), Status> {
    while let Some(judged) = open.next().await {
        judged?;
    }
    Ok(())
}
