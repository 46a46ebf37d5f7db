//! Questions on streams: many in flight on each, and each answer told by its number.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::SendStream;
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len};
use tokenbind_proto::v1::{StreamValidateRequest, ValidateTokenRequest};
use tokio::task::JoinSet;

use super::load::{Answered, Pace, Record, Shared};
use super::peer::{self, CallError, Incoming, Method, Peer};

/// `correlation_id` of a question and of an answer.
const NUMBER: u32 = 1;
/// `request` of a question, `response` of an answer.
const CONTENT: u32 = 2;

/// A question as it goes over the wire, without what differs each time: its number, which stands before it.
pub(super) fn question(request: ValidateTokenRequest) -> Bytes {
    let numberless = StreamValidateRequest {
        correlation_id: 0,
        request: Some(request),
    };
    numberless.encode_to_vec().into()
}

/// Asks one question on a stream of its own, and answers the whole answer.
pub(super) async fn ask(peer: &Peer, method: &Method, question: &[u8]) -> Result<Bytes, CallError> {
    let (mut outgoing, mut incoming) = peer.open(method).await?;
    let mut framed = BytesMut::new();
    append(&mut framed, 1, question);
    outgoing.send_data(framed.freeze(), true)?;
    let answers = incoming.next().await?.unwrap_or_default();
    match answers.as_slice() {
        [answer] => Ok(answer.clone()),
        _ => Err(CallError::Wrong),
    }
}

/// On each of so many streams as many questions are in flight as are its share; an answer makes room for the next.
pub(super) async fn closed(shared: &Arc<Shared>, peers: &[Peer], streams: usize, in_flight: usize, record: &Record) {
    let mut open = JoinSet::new();
    for (number, peer) in peers.iter().cycle().take(streams).enumerate() {
        let window = in_flight / streams + usize::from(number < in_flight % streams);
        let (shared, peer, record) = (Arc::clone(shared), peer.clone(), Arc::clone(record));
        open.spawn(async move {
            let mut asked = Asked::default();
            if let Err(error) = keep_full(&shared, &peer, window.max(1), &mut asked, &record).await {
                asked.fail(&shared, error, &record);
            }
        });
    }
    while open.join_next().await.is_some() {}
}

async fn keep_full(
    shared: &Shared,
    peer: &Peer,
    window: usize,
    asked: &mut Asked,
    record: &Record,
) -> Result<(), CallError> {
    let (mut outgoing, mut incoming) = peer.open(&shared.method).await?;
    let mut questions = BytesMut::new();
    let mut more = true;
    loop {
        let now = Instant::now();
        more &= now < shared.until;
        while more && asked.open < window {
            match shared.next_message() {
                Some(question) => asked.ask(now, &question, &mut questions),
                None => more = false,
            }
        }
        if !questions.is_empty() {
            // What became possible together goes together.
            outgoing.send_data(questions.split().freeze(), false)?;
        }
        if asked.open == 0 {
            break;
        }
        let answers = incoming.next().await?.ok_or(CallError::Wrong)?;
        shared.count(record, asked.answered(&answers)?);
    }
    outgoing.send_data(Bytes::new(), true)?;
    end(&mut incoming).await
}

/// Questions come at fixed times, to the streams in turn, whether or not earlier ones were answered.
pub(super) async fn open(shared: &Arc<Shared>, peers: &[Peer], streams: usize, rate: f64, record: &Record) {
    let mut answering = JoinSet::new();
    let mut outgoing = Vec::with_capacity(streams);
    for peer in peers.iter().cycle().take(streams) {
        match peer.open(&shared.method).await {
            Ok((sending, incoming)) => {
                let asked = Arc::new(Mutex::new(Asked::default()));
                let (shared, record) = (Arc::clone(shared), Arc::clone(record));
                answering.spawn(receive(shared, incoming, Arc::clone(&asked), record));
                outgoing.push((sending, asked));
            }
            Err(error) => Asked::default().fail(shared, error, record),
        }
    }
    send_paced(shared, &mut outgoing, rate, record).await;
    while answering.join_next().await.is_some() {}
}

type Sending = (SendStream<Bytes>, Arc<Mutex<Asked>>);

async fn send_paced(shared: &Shared, streams: &mut [Sending], rate: f64, record: &Record) {
    let mut pace = Pace::new(rate);
    let mut next = 0;
    while !streams.is_empty() {
        let due = pace.next().await;
        let Some(question) = (due < shared.until).then(|| shared.next_message()).flatten() else {
            break;
        };
        next = (next + 1) % streams.len();
        let Some((sending, asked)) = streams.get_mut(next) else {
            break;
        };
        let mut framed = BytesMut::new();
        locked(asked).ask(due, &question, &mut framed);
        if let Err(error) = sending.send_data(framed.freeze(), false) {
            locked(asked).fail(shared, error.into(), record);
            break;
        }
    }
    for (sending, _) in streams {
        // An error says that it has ended already, which whoever receives is told too.
        let _ = sending.send_data(Bytes::new(), true);
    }
}

async fn receive(shared: Arc<Shared>, mut incoming: Incoming, asked: Arc<Mutex<Asked>>, record: Record) {
    loop {
        let outcome = match incoming.next().await {
            Ok(Some(answers)) => locked(&asked)
                .answered(&answers)
                .map(|answered| shared.count(&record, answered)),
            Ok(None) if locked(&asked).open == 0 => return,
            Ok(None) => Err(CallError::Wrong),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            return locked(&asked).fail(&shared, error, &record);
        }
    }
}

fn locked(asked: &Mutex<Asked>) -> std::sync::MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the good end of a stream on which nothing is open any more.
async fn end(incoming: &mut Incoming) -> Result<(), CallError> {
    match incoming.next().await? {
        None => Ok(()),
        Some(_) => Err(CallError::Wrong),
    }
}

/// The questions of one stream that are open.
#[derive(Default)]
struct Asked {
    /// By the number of the question less one: when it was due, and its size.
    questions: Vec<Option<(Instant, usize)>>,
    /// Numbers that are free.
    free: Vec<usize>,
    open: usize,
}

impl Asked {
    /// Writes a question with a number that no open one has.
    fn ask(&mut self, due: Instant, question: &[u8], framed: &mut BytesMut) {
        let index = self.free.pop().unwrap_or(self.questions.len());
        let before = framed.len();
        append(framed, index as u64 + 1, question);
        let asked = Some((due, framed.len() - before));
        match self.questions.get_mut(index) {
            Some(place) => *place = asked,
            None => self.questions.push(asked),
        }
        self.open += 1;
    }

    /// What came back to which question.
    fn answered(&mut self, answers: &[Bytes]) -> Result<Vec<Answered>, CallError> {
        let at = Instant::now();
        let answers = answers.iter().map(|message| {
            let (number, answer) = answer(message).ok_or(CallError::Wrong)?;
            let (due, sent) = self.take(number).ok_or(CallError::Wrong)?;
            Ok(Answered {
                due,
                at,
                sent,
                answer: Ok(answer),
            })
        });
        answers.collect()
    }

    fn take(&mut self, number: u64) -> Option<(Instant, usize)> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        let asked = self.questions.get_mut(index)?.take()?;
        self.free.push(index);
        self.open -= 1;
        Some(asked)
    }

    /// The stream is over, and so is the oldest question that was open.
    fn fail(&mut self, shared: &Shared, error: CallError, record: &Record) {
        let at = Instant::now();
        let oldest = self.questions.iter().flatten().min().copied();
        let (due, sent) = oldest.unwrap_or((at, 0));
        let answer = Err(error);
        shared.count(record, [Answered { due, at, sent, answer }]);
    }
}

fn append(framed: &mut BytesMut, number: u64, question: &[u8]) {
    let length = key_len(NUMBER) + encoded_len_varint(number) + question.len();
    peer::begin(framed, length);
    encode_key(NUMBER, WireType::Varint, framed);
    encode_varint(number, framed);
    framed.put_slice(question);
}

/// The number of an answer, and the answer itself; empty where it is an error.
fn answer(message: &Bytes) -> Option<(u64, Bytes)> {
    let mut message = message.clone();
    let (NUMBER, WireType::Varint) = decode_key(&mut message).ok()? else {
        return None;
    };
    let number = decode_varint(&mut message).ok()?;
    let (tag, WireType::LengthDelimited) = decode_key(&mut message).ok()? else {
        return None;
    };
    let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
    let whole = message.remaining() == length;
    let answer = if tag == CONTENT { message } else { Bytes::new() };
    whole.then_some((number, answer))
}

#[cfg(test)]
mod tests {
    use tokenbind_proto::v1::stream_validate_response::Answer;
    use tokenbind_proto::v1::{Decision, ElementError, StreamValidateResponse, ValidateTokenResponse};

    use super::*;

    fn request() -> ValidateTokenRequest {
        ValidateTokenRequest {
            token: "tbo_x".to_owned(),
            ..ValidateTokenRequest::default()
        }
    }

    #[test]
    fn a_question_reads_as_the_contract_has_it() {
        let mut framed = BytesMut::new();
        append(&mut framed, 300, &question(request()));
        let read = StreamValidateRequest::decode(&framed[5..]).unwrap();
        assert_eq!(read.correlation_id, 300);
        assert_eq!(read.request, Some(request()));
    }

    fn response(number: u64, answer: Answer) -> Bytes {
        let response = StreamValidateResponse {
            correlation_id: number,
            answer: Some(answer),
        };
        response.encode_to_vec().into()
    }

    #[test]
    fn answers_find_their_questions_in_any_order() {
        let mut asked = Asked::default();
        let mut framed = BytesMut::new();
        for _ in 0..3 {
            asked.ask(Instant::now(), &question(request()), &mut framed);
        }
        let allowed = ValidateTokenResponse {
            decision: Decision::Allow.into(),
            ..ValidateTokenResponse::default()
        };
        let allowed = |number| response(number, Answer::Response(allowed.clone()));
        let error = response(2, Answer::Error(ElementError::default()));
        let answered = asked.answered(&[allowed(3), error]).unwrap();
        let beginnings: Vec<_> = answered
            .iter()
            .map(|one| one.answer.as_ref().unwrap().first())
            .collect();
        assert_eq!(beginnings, [Some(&0x08), None], "an error is no good answer");
        assert_eq!(asked.open, 1);
        // Nobody asked that, or it was answered before.
        assert!(asked.answered(&[allowed(3)]).is_err());
        assert!(asked.answered(&[allowed(4)]).is_err());
        asked.ask(Instant::now(), &question(request()), &mut framed);
        assert_eq!((asked.open, asked.questions.len()), (2, 3), "numbers are used again");
    }
}
