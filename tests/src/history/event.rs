//! The words of a history.

use serde::Serialize;

/// Microseconds since the history began.
pub type Micros = u64;
/// Which access token, in the order in which they were first seen.
pub type TokenNumber = usize;
/// Which refresh token.
pub type RefreshNumber = usize;
/// Which fault, in the order of the history.
pub type FaultNumber = usize;

/// One place for one live token. Scopes and audiences are the same throughout a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Slot {
    /// To whom tokens are issued.
    pub application: usize,
    /// For whom they speak.
    pub subject: usize,
    /// What they are bound to.
    pub device: usize,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// A token for a slot, on a password or the application's own credentials.
    Issue {
        /// Where.
        slot: Slot,
    },
    /// A token for a refresh token.
    Refresh {
        /// Where its tokens go.
        slot: Slot,
        /// Which is presented.
        refresh: RefreshNumber,
    },
    /// A token for an assertion that is good for one use. Its slot is nobody else's.
    Assert {
        /// Which assertion.
        assertion: usize,
    },
    /// R1, an access token.
    RevokeToken {
        /// Which.
        token: TokenNumber,
    },
    /// R1, a refresh token, with all that came of its login.
    RevokeLogin {
        /// Which.
        refresh: RefreshNumber,
    },
    /// R2, within one application.
    RevokeBinding {
        /// Whose, and under which binding.
        slot: Slot,
    },
    /// R3, within one application.
    RevokeSubject {
        /// Within which.
        application: usize,
        /// Whose.
        subject: usize,
    },
    /// R4.
    RevokeApplication {
        /// Whose.
        application: usize,
    },
    /// A verdict.
    Validate {
        /// On which token.
        token: TokenNumber,
        /// By which validator.
        validator: usize,
        /// As of now, not within the validator's bound.
        as_of_now: bool,
    },
    /// A watch of a token that was good when it began. It ends when the validator says so: that is its answer.
    Watch {
        /// Which token.
        token: TokenNumber,
        /// By which validator.
        validator: usize,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// A token.
    Issued {
        /// Which.
        token: TokenNumber,
        /// The refresh token beside it.
        refresh: Option<RefreshNumber>,
        /// Seconds that it lives.
        expires_in: u32,
    },
    /// The revocation is done, and durable as far as was promised.
    Revoked,
    /// The token is good; of a watch: nothing else had been said when the history ended.
    Allowed,
    /// The token is not.
    Denied {
        /// Why.
        reason: String,
    },
    /// The service decided against the request.
    Refused {
        /// Why.
        reason: String,
    },
    /// Nothing is known: it may have been done or not.
    Failed {
        /// What the client was told, or what it made up itself.
        why: String,
    },
}

/// A call and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Before the request was sent.
    pub start: Micros,
    /// After the answer was there.
    pub end: Micros,
    /// What was asked.
    #[serde(flatten)]
    pub call: Call,
    /// What came back.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What the store may lose in a fault of what it acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Nothing.
    #[default]
    Nothing,
    /// What was written without waiting for a replica from this instant on.
    SinceUnreplicated(Micros),
    /// All that it has, at once.
    Everything,
    /// Any key by itself.
    AnyKey,
    /// Nothing, but what is refused meanwhile may be good, and what is issued meanwhile may not: somebody's clock is wrong.
    Misjudged,
}

/// Who may notice a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gentleness {
    /// Calls may fail.
    #[default]
    Rough,
    /// No token may be had; everything else is answered.
    NothingIssued,
    /// No call fails: a client that tries again where a call was not taken is always served.
    Gentle,
}

/// Something that was done to the services or to what they stand on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What.
    pub fault: String,
    /// Before it began.
    pub start: Micros,
    /// When everything worked again.
    pub end: Micros,
    /// What may be lost by it.
    pub loss: Loss,
    /// Who may notice.
    pub gentleness: Gentleness,
    /// From when to when the primary had no replica that could hear of anything.
    pub without_replicas: Option<(Micros, Micros)>,
}

/// Something that is done again and again beside the faults, whatever else is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plague {
    /// What.
    pub plague: String,
    /// Before it was done.
    pub start: Micros,
    /// When it was over.
    pub end: Micros,
    /// The validator whose calls may fail meanwhile: nothing else may.
    pub validator: Option<usize>,
}

/// A time in which nothing here had a processor: whoever waited, waited for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stall {
    /// From.
    pub start: Micros,
    /// To.
    pub end: Micros,
}

/// How the services were started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Promises {
    /// How long after a revocation was acknowledged a call that begins may still be allowed.
    pub bound: Micros,
    /// A revocation waits for replicas.
    pub replicated: bool,
    /// How long after all tokens of an application were revoked another issuer may not have heard of it: what it issues until then is
    /// dead from the beginning.
    pub issuers_behind: Micros,
    /// How often a refresh token is answered again.
    pub grace_uses: usize,
}

/// All that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What was promised.
    pub promises: Promises,
    /// The calls, in the order in which they ended.
    pub events: Vec<Event>,
    /// The faults, in the order in which they ended.
    pub faults: Vec<Fault>,
    /// What was done beside them.
    pub plagues: Vec<Plague>,
    /// The stalls.
    pub stalls: Vec<Stall>,
    /// When a process under test had no processor, though this one may have had.
    pub starved: Vec<Stall>,
}

impl History {
    /// One JSON object on each line: promises, faults, plagues, stalls, then the calls.
    pub fn to_lines(&self) -> String {
        fn line(value: &impl Serialize) -> String {
            serde_json::to_string(value).expect("numbers and texts") + "\n"
        }
        let mut lines = line(&self.promises);
        lines.extend(self.faults.iter().map(line));
        lines.extend(self.plagues.iter().map(line));
        lines.extend(self.stalls.iter().chain(&self.starved).map(line));
        lines.extend(self.events.iter().map(line));
        lines
    }
}
