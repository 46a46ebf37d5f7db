//! `StreamValidate`: questions as they come, answers as they are ready.

use std::pin::pin;

use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _};
use tokenbind_proto::answering::{StreamValidateResponse, ValidateTokenResponse, stream_validate_response};
use tokenbind_proto::v1::StreamValidateRequest;
use tokio::sync::mpsc::{Permit, Sender};
use tonic::Status;

use super::place::Place;
use super::{Answer, Standing, ValidationGrpc, request, status};
use crate::caller::CallerError;

/// How many questions of one stream are open: being judged, or answered and not taken yet.
pub(crate) const MAX_OPEN: usize = 256;

impl ValidationGrpc {
    /// Answers every question until they end; an error ends the stream.
    pub(crate) async fn answer_all(
        self,
        caller: Standing,
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
                    let question = question?;
                    match self.judge_at_once(&caller, &question) {
                        Some(answer) => room.send(answer),
                        None => open.push(self.judge_one(&caller, question, room)),
                    }
                }
                () = &mut stopped => {
                    finish(&mut open).await?;
                    return Err(status::stopping());
                }
            }
        }
        finish(&mut open).await
    }

    /// The answer to one question; `None` where something has to be waited for.
    fn judge_at_once(&self, caller: &Standing, question: &StreamValidateRequest) -> Option<StreamValidateResponse> {
        let moment = self.validator.moment();
        let caller = self.recall(caller, moment)?;
        let answer = request::check_field(question.request.as_ref())
            .and_then(|(request, checked)| self.answer_kept(&caller, request, checked, Place::Field, moment));
        let answer = match answer {
            Ok(Answer::Given(response)) => Ok(response),
            Ok(Answer::Open(_)) => return None,
            Err(error) => Err(error),
        };
        Some(numbered(question.correlation_id, answer))
    }

    /// Sends the answer to one question; an error is one of the caller, and ends the stream.
    async fn judge_one(
        &self,
        caller: &Standing,
        question: StreamValidateRequest,
        room: Permit<'_, StreamValidateResponse>,
    ) -> Result<(), Status> {
        let answer = match self.callers.verify(&caller.presented).await {
            Ok(caller) => match request::check_field(question.request.as_ref()) {
                Ok((request, checked)) => self.answer(&caller, request, checked, Place::Field).await,
                Err(wrong) => Err(wrong),
            },
            Err(error @ CallerError::Unavailable(_)) => Err(status::caller(&error)),
            Err(error) => return Err(status::caller(&error)),
        };
        room.send(numbered(question.correlation_id, answer));
        Ok(())
    }
}

fn numbered(correlation_id: u64, answer: Result<ValidateTokenResponse, Status>) -> StreamValidateResponse {
    let answer = match answer {
        Ok(response) => stream_validate_response::Answer::Response(response),
        Err(error) => stream_validate_response::Answer::Error(status::element(&error)),
    };
    StreamValidateResponse {
        correlation_id,
        answer: Some(answer),
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

async fn finish(open: &mut FuturesUnordered<impl Future<Output = Result<(), Status>>>) -> Result<(), Status> {
    while let Some(judged) = open.next().await {
        judged?;
    }
    Ok(())
}
