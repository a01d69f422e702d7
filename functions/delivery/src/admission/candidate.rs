//! A message that its endpoint allows, until it is decided when it is sent.

use domain::delivery::DeliveryMessage;
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// When a message may be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    Now,
    /// At its time in a line of its tenant. It gets no time of its endpoint before.
    Waiting(Timestamp),
    /// At its time in the line of its endpoint.
    Later(Timestamp),
    /// Not within the time for which a throttled endpoint reserves slots.
    TooLate,
}

impl Turn {
    /// Returns this turn, or a later one in a line of the tenant.
    pub(crate) fn waiting_until(self, time: Option<Timestamp>) -> Self {
        match (self, time) {
            (Self::Now, Some(at)) => Self::Waiting(at),
            (Self::Waiting(until), Some(at)) => Self::Waiting(until.max(at)),
            (turn, _) => turn,
        }
    }
}

/// A message of a batch that its endpoint allows.
pub(crate) struct Candidate<'a> {
    /// The place of the message in the batch.
    pub(crate) place: usize,
    pub(crate) message: &'a DeliveryMessage,
    pub(crate) turn: Turn,
    /// Whether the message has waited in the lines of its tenant, before or in this batch.
    pub(crate) has_waited: bool,
}

/// The candidates for one endpoint.
pub(crate) struct Group<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) id: &'a EndpointId,
    pub(crate) endpoint: Endpoint,
    /// Whether the rate is lower than the configured one. A slot at the full rate does not count then, and a message
    /// without a slot is parked.
    pub(crate) is_throttled: bool,
    /// Whether no message waited for the endpoint before this batch.
    pub(crate) was_idle: bool,
    pub(crate) candidates: Vec<Candidate<'a>>,
}

impl<'a> Group<'a> {
    /// Returns the candidates that may be sent now.
    pub(crate) fn ready(&mut self) -> impl Iterator<Item = &mut Candidate<'a>> {
        self.candidates.iter_mut().filter(|candidate| candidate.turn == Turn::Now)
    }

    /// Returns the number of candidates that may be sent now.
    pub(crate) fn count_ready(&self) -> usize {
        self.candidates.iter().filter(|candidate| candidate.turn == Turn::Now).count()
    }

    /// Returns whether a request takes long at `now`.
    pub(crate) fn is_slow(&self, now: Timestamp) -> bool {
        self.endpoint.slow_seconds(now).is_some()
    }
}
