//! Hands the events of the audit trail on, beside the log: to whoever keeps them longer.
//!
//! The trail is what is logged under the target [`TARGET`], and nothing else: what the log does not say, nobody else gets.

use std::fmt;

use ::metrics::{Counter, counter, describe_counter};
use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, LevelFilter},
    layer::Context,
    registry::LookupSpan,
};

/// The target of the audit trail.
pub const TARGET: &str = "audit";
/// Events that were not handed on, because whoever takes them is too slow.
pub const DROPPED: &str = "tokenbind_audit_dropped_total";

/// How many may wait to be taken.
const CAPACITY: usize = 8_192;

/// Names and values of one event, in the order of the log line.
pub type Fields = Vec<(&'static str, String)>;

/// Where events of the log come from, for whoever takes them.
#[derive(Debug)]
pub struct Tap {
    events: Sender<Fields>,
    level: Level,
}

/// A tap for [`telemetry::init_with`](crate::telemetry::init_with), and the events that come out of it. With `everything` those too that
/// come with every token.
pub fn tap(everything: bool) -> (Tap, Receiver<Fields>) {
    let (events, taken) = mpsc::channel(CAPACITY);
    let tap = Tap {
        events,
        level: if everything { Level::DEBUG } else { Level::INFO },
    };
    (tap, taken)
}

impl Tap {
    /// Counts in the recorder of metrics that is there by now.
    pub(crate) fn layer<S>(self) -> impl Layer<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let level = self.level;
        let wanted = move |metadata: &Metadata<'_>| {
            metadata.is_event() && metadata.target() == TARGET && *metadata.level() <= level
        };
        describe_counter!(DROPPED, "Audit events that were not handed on: too many were waiting.");
        let dropped = counter!(DROPPED);
        dropped.increment(0);
        let events = self.events;
        Forward { events, dropped }
            .with_filter(FilterFn::new(wanted).with_max_level_hint(LevelFilter::from_level(level)))
    }
}

/// Takes events as they are logged. Never waits.
struct Forward {
    events: Sender<Fields>,
    dropped: Counter,
}

impl<S: Subscriber> Layer<S> for Forward {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Collected(Vec::with_capacity(8));
        event.record(&mut fields);
        // Nobody takes them any more while the process stops.
        if let Err(TrySendError::Full(_)) = self.events.try_send(fields.0) {
            self.dropped.increment(1);
        }
    }
}

struct Collected(Fields);

impl Visit for Collected {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn told(everything: bool) -> Vec<Fields> {
        let (tap, mut taken) = tap(everything);
        let subscriber = tracing_subscriber::registry().with(tap.layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: TARGET, event = "revoked", client_id = "shop", count = 2_u64, subject = None::<&str>);
            tracing::debug!(target: TARGET, event = "issued");
            tracing::error!("not of the trail");
        });
        std::iter::from_fn(|| taken.try_recv().ok()).collect()
    }

    #[test]
    fn what_is_logged_under_the_target_comes_out() {
        let revoked = [("event", "revoked"), ("client_id", "shop"), ("count", "2")];
        let revoked = revoked.map(|(name, value)| (name, value.to_owned())).to_vec();
        assert_eq!(told(false), std::slice::from_ref(&revoked));
        assert_eq!(told(true), [revoked, vec![("event", "issued".to_owned())]]);
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_nobody_waits() {
        let (tap, taken) = tap(false);
        let subscriber = tracing_subscriber::registry().with(tap.layer());
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..2 * CAPACITY {
                tracing::info!(target: TARGET, event = "refused");
            }
        });
        assert_eq!(taken.len(), CAPACITY);
    }
}
