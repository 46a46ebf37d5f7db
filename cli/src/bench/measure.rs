//! Measures ours and the bare service in turn.

use std::time::Duration;

use prost::Message as _;
use serde::Serialize;
use tokenbind_proto::v1::{
    Decision, IntrospectTokenResponse, IssueTokenResponse, StreamValidateResponse, ValidateTokenResponse,
    ValidateTokensResponse, stream_validate_response,
};

use bytes::Bytes;

use super::args::{LoadArgs, MachineArgs};
use super::echo::Canned;
use super::failed;
use super::load::{self, Load};
use super::peer::{Method, Peer};
use super::sample::{Sample, median};
use super::stack::{Server, Stack};
use super::stream_load;
use super::workload::{BATCH, INTROSPECT, ISSUE, Messages, STREAM, Shape, VALIDATE, Workload};
use crate::error::CliError;

/// Of a measurement, unless it is told otherwise.
const DURATION: Duration = Duration::from_secs(4);

/// What is measured in turn.
pub(super) struct Comparison {
    pub(super) name: &'static str,
    pub(super) ours: Server,
    pub(super) bare: Option<Server>,
    pub(super) redis: Option<u32>,
}

/// One load, measured in several rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    pub(super) concurrency: usize,
    pub(super) connections: usize,
    pub(super) rate: Option<f64>,
    pub(super) tokens_per_call: u32,
    pub(super) rounds: Vec<Round>,
    pub(super) median: Medians,
}

/// Ours, then the bare service.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Round {
    pub(super) ours: Sample,
    pub(super) bare: Option<Sample>,
}

/// Medians of all rounds; ratios are of one round each.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Medians {
    pub(super) per_second: f64,
    pub(super) bare_per_second: Option<f64>,
    /// Ours divided by the bare service.
    pub(super) ratio: Option<f64>,
    pub(super) per_server_cpu_second: Option<f64>,
    pub(super) bare_per_server_cpu_second: Option<f64>,
    /// The same for each second of processor time.
    pub(super) cpu_ratio: Option<f64>,
    /// Of one core.
    pub(super) server_cpu: Option<f64>,
    pub(super) redis_cpu: Option<f64>,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
}

impl Comparison {
    /// Measures each concurrency. The work of each measurement is asked for anew.
    pub(super) fn run(
        &self,
        arguments: &LoadArgs,
        machine: &MachineArgs,
        mut work: impl FnMut() -> Workload,
    ) -> Result<Vec<Measured>, CliError> {
        let mut all = Vec::new();
        for concurrency in &arguments.concurrency {
            let mut rounds = Vec::new();
            for _ in 0..arguments.rounds.max(1) {
                let workload = work();
                let load = |server: Server, workload: Workload, name: &str| Load {
                    address: server.address,
                    workload,
                    connections: arguments.connections,
                    concurrency: *concurrency,
                    rate: arguments.rate,
                    warmup: arguments.warmup,
                    duration: arguments.duration.unwrap_or(DURATION),
                    cores: load_cores(machine),
                    server: server.process,
                    redis: self.redis,
                    every: None,
                    name: format!("{name} ({concurrency} in flight)"),
                };
                let bare = self.bare.map(|bare| {
                    let workload = Workload {
                        messages: workload.messages.cycled(),
                        ..workload.clone()
                    };
                    load(bare, workload, "bare service")
                });
                let ours = load::run(load(self.ours, workload, self.name))?;
                rounds.push(Round {
                    ours,
                    bare: bare.map(load::run).transpose()?,
                });
            }
            all.push(Measured {
                concurrency: *concurrency,
                connections: arguments.connections,
                rate: arguments.rate,
                tokens_per_call: work().tokens_per_call,
                median: Medians::of(&rounds),
                rounds,
            });
        }
        Ok(all)
    }
}

/// Sends each message once, as fast as it goes, so that whatever can be kept is.
pub(super) fn touch(
    server: Server,
    arguments: &LoadArgs,
    machine: &MachineArgs,
    workload: &Workload,
) -> Result<(), CliError> {
    let Messages::Cycled(messages) = &workload.messages else {
        return Ok(());
    };
    let sample = load::run(Load {
        address: server.address,
        workload: Workload {
            messages: Messages::Once(messages.clone()),
            ..workload.clone()
        },
        connections: arguments.connections,
        concurrency: 128,
        rate: None,
        warmup: Duration::ZERO,
        duration: Duration::from_secs(3600),
        cores: load_cores(machine),
        server: None,
        redis: None,
        every: None,
        name: "touching every token once".to_owned(),
    })?;
    match sample.error {
        None => Ok(()),
        Some(error) => Err(failed(format_args!("{} calls failed: {error}", sample.errors))),
    }
}

/// The cores of the load.
pub(super) fn load_cores(machine: &MachineArgs) -> Vec<usize> {
    if machine.no_pin {
        // As many threads, on whatever cores.
        return Vec::new();
    }
    machine.load_cores.clone()
}

impl Medians {
    fn of(rounds: &[Round]) -> Self {
        let ours = |of: fn(&Sample) -> Option<f64>| median(rounds.iter().filter_map(|round| of(&round.ours)));
        let bare = |of: fn(&Sample) -> Option<f64>| median(rounds.iter().filter_map(|round| of(round.bare.as_ref()?)));
        let ratio = |of: fn(&Sample) -> Option<f64>| {
            median(
                rounds
                    .iter()
                    .filter_map(|round| Some(of(&round.ours)? / of(round.bare.as_ref()?)?)),
            )
        };
        let share = |of: fn(&Sample) -> Option<f64>| ours(of);
        Self {
            per_second: ours(|sample| Some(sample.per_second)).unwrap_or_default(),
            bare_per_second: bare(|sample| Some(sample.per_second)),
            ratio: ratio(|sample| Some(sample.per_second)),
            per_server_cpu_second: ours(|sample| sample.per_server_cpu_second),
            bare_per_server_cpu_second: bare(|sample| sample.per_server_cpu_second),
            cpu_ratio: ratio(|sample| sample.per_server_cpu_second),
            server_cpu: share(|sample| Some(sample.server_cpu_seconds? / sample.seconds)),
            redis_cpu: share(|sample| Some(sample.redis_cpu_seconds? / sample.seconds)),
            p50_us: ours(|sample| Some(sample.latency_us.p50)).unwrap_or_default(),
            p99_us: ours(|sample| Some(sample.latency_us.p99)).unwrap_or_default(),
            p999_us: ours(|sample| Some(sample.latency_us.p999)).unwrap_or_default(),
        }
    }
}

/// Starts the bare service with the answer that ours gives, after a good look at that.
pub(super) async fn bare_of(stack: &mut Stack, ours: Server, workload: &Workload) -> Result<Server, CliError> {
    let answer = probe(ours, workload).await?;
    stack.echo(Canned {
        path: workload.path.to_owned(),
        answer: answer.to_vec(),
    })
}

/// Calls once and looks at the whole answer.
pub(super) async fn probe(server: Server, workload: &Workload) -> Result<Bytes, CliError> {
    let method = Method::new(server.address, workload.path, workload.authorization.as_deref()).map_err(failed)?;
    let message = workload
        .messages
        .get(0)
        .ok_or_else(|| failed("there are no messages"))?;
    let peer = Peer::connect(server.address).await.map_err(failed)?;
    let answer = match workload.shape {
        Shape::Calls => peer.call(&method, message).await,
        Shape::Streams(_) => stream_load::ask(&peer, &method, &message).await,
    };
    let answer = answer.map_err(failed)?;
    if is_good(workload, answer.clone()).map_err(failed)? {
        return Ok(answer);
    }
    Err(failed(format_args!(
        "{} gives another answer than it should",
        workload.path
    )))
}

fn is_good(workload: &Workload, answer: Bytes) -> Result<bool, prost::DecodeError> {
    let allowed = |answer: &ValidateTokenResponse| answer.decision() == Decision::Allow;
    Ok(match workload.path {
        VALIDATE => allowed(&ValidateTokenResponse::decode(answer)?),
        BATCH => {
            let answers = ValidateTokensResponse::decode(answer)?.responses;
            u32::try_from(answers.len()) == Ok(workload.tokens_per_call) && answers.iter().all(allowed)
        }
        STREAM => match StreamValidateResponse::decode(answer)?.answer {
            Some(stream_validate_response::Answer::Response(answer)) => allowed(&answer),
            _ => false,
        },
        INTROSPECT => IntrospectTokenResponse::decode(answer)?.active,
        ISSUE => !IssueTokenResponse::decode(answer)?.access_token.is_empty(),
        _ => false,
    })
}
