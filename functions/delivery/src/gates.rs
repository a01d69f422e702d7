//! What stands between a batch of messages and their endpoints: each endpoint is read once, now, and its line is queued
//! up in once for all of them.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use triggers::breaker::{self, Gate};
use triggers::delivery::{DeliveryMessage, Pass};
use triggers::endpoint::{Endpoint, EndpointId};
use triggers::pace::Pace;
use triggers::ports::{Control, Limits};
use triggers::tenant::TenantId;
use triggers::timestamp::Timestamp;

/// What one message finds before its endpoint.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// The endpoint cannot be read.
    Unknown(String),
    /// It was deleted.
    Deleted,
    /// It is disabled.
    Disabled(Box<Endpoint>),
    /// Its breaker is open, or it is paused.
    Parked,
    /// Its rate allows the request then, and not before.
    Later(Timestamp),
    /// It takes the request now.
    Open(Box<Endpoint>),
}

type Place<'a> = (&'a TenantId, &'a EndpointId);

/// What each of these messages finds, in their order.
pub(crate) async fn entries(
    control: &impl Control,
    limits: &impl Limits,
    messages: &[&DeliveryMessage],
    now: Timestamp,
) -> Vec<Entry> {
    let mut waiting: BTreeMap<Place<'_>, usize> = BTreeMap::new();
    for message in messages {
        *waiting.entry((&message.tenant, &message.endpoint)).or_default() += usize::from(waits(message));
    }
    let lines = waiting
        .into_iter()
        .map(|(place, count)| async move { (place, Line::join(control, limits, place, count, now).await) });
    let mut lines: HashMap<Place<'_>, Line> = join_all(lines).await.into_iter().collect();
    let mut entries = Vec::with_capacity(messages.len());
    for message in messages.iter().copied() {
        let line = lines.get_mut(&(&message.tenant, &message.endpoint));
        entries.push(line.map_or(Entry::Deleted, |line| line.entry(message, now)));
    }
    entries
}

/// Whether a message still has to wait for its turn.
fn waits(message: &DeliveryMessage) -> bool {
    message.pass == Pass::None
}

/// One endpoint, and our part of its line.
struct Line {
    endpoint: Result<Option<Endpoint>, String>,
    begin: Option<u64>,
    taken: usize,
}

impl Line {
    async fn join(
        control: &impl Control,
        limits: &impl Limits,
        (tenant, id): Place<'_>,
        count: usize,
        now: Timestamp,
    ) -> Self {
        let endpoint = control.endpoint(tenant, id).await.map_err(|error| error.to_string());
        let takes = |endpoint: &&Endpoint| breaker::gate(endpoint, Pass::None) == Gate::Open;
        let begin = match endpoint.as_ref().ok().and_then(Option::as_ref).filter(takes) {
            Some(endpoint) if count > 0 => {
                let span = Pace::per_second(endpoint.rate_per_second).span(count, now);
                let begin = limits.queue_up(tenant, id, span).await;
                // A rate that cannot be counted must not hold deliveries up.
                begin.inspect_err(|error| tracing::warn!(cause = %error, "a rate is not counted")).ok()
            }
            _ => None,
        };
        Self { endpoint, begin, taken: 0 }
    }

    fn entry(&mut self, message: &DeliveryMessage, now: Timestamp) -> Entry {
        let endpoint = match &self.endpoint {
            Err(error) => return Entry::Unknown(error.clone()),
            Ok(None) => return Entry::Deleted,
            Ok(Some(endpoint)) => endpoint,
        };
        match breaker::gate(endpoint, message.pass) {
            Gate::Disabled => Entry::Disabled(Box::new(endpoint.clone())),
            Gate::Parked => Entry::Parked,
            Gate::Open => {
                let pace = Pace::per_second(endpoint.rate_per_second);
                let turn = self.begin.filter(|_| waits(message)).and_then(|begin| {
                    self.taken += 1;
                    pace.turn(begin, self.taken - 1, now)
                });
                turn.map_or_else(|| Entry::Open(Box::new(endpoint.clone())), Entry::Later)
            }
        }
    }
}
