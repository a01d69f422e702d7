//! A delivery: one event to one endpoint. This module has its states, and decides what a message about it does. A
//! final state changes only by a replay.

pub mod at_once;
pub mod attempt;
pub mod gate;
pub mod lane;
pub mod line;
pub mod retry_schedule;
pub mod run;
pub mod schedule;
pub mod share;
pub mod signature;
pub mod verdict;
pub mod webhook_request;

use std::time::Duration;

use self::run::Run;
use crate::endpoint::id::EndpointId;
use crate::event::id::EventId;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;
use crate::trace::Trace;

/// The largest difference between the clocks of two instances. A message that is early by no more than this is on
/// time.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// The state of a delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeliveryState {
    /// There will be another attempt.
    Open,
    /// The endpoint answered an attempt with 2xx.
    Delivered,
    /// All attempts failed, or the endpoint is disabled.
    Failed,
    /// The endpoint was deleted.
    Cancelled,
    /// The event was acknowledged in the inbox before the endpoint answered with 2xx.
    Acked,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Open, Self::Delivered, Self::Failed, Self::Cancelled, Self::Acked];

    /// Returns the name of the state in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Acked => "acked",
        }
    }

    /// Returns the state with this name; `None` for an unknown name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// The entry of one endpoint in the head of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// The state of the delivery.
    pub state: DeliveryState,
    /// The run that the delivery belongs to.
    pub run: Run,
    /// The number of recorded attempts.
    pub attempts: u32,
    /// When the next attempt is due. It has a meaning only while the delivery is open.
    pub next_at: Timestamp,
    /// The last recorded attempt of this run, if there was one.
    pub last: Option<LastAttempt>,
    /// When an attempt of this run was first put off because of a 429.
    pub put_off_since: Option<Timestamp>,
}

/// The attempt as the head of an event keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastAttempt {
    /// When the attempt started.
    pub at: Timestamp,
    /// The duration of the attempt, in milliseconds.
    pub duration_ms: u64,
    /// The HTTP status of the answer, or a short text about why there was none.
    pub answer: String,
}

impl LastAttempt {
    /// Returns the HTTP status, if there was an answer.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        self.answer.parse().ok()
    }
}

/// The content of a queue message or a `Schedule` row: make attempt `n` of this delivery.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DeliveryMessage {
    /// The tenant that owns the event.
    pub tenant: TenantId,
    /// The event to send.
    pub event: EventId,
    /// The endpoint to send it to.
    pub endpoint: EndpointId,
    /// The run that the attempt belongs to.
    pub run: Run,
    /// The number of the attempt, from 1.
    pub n: u32,
    /// Whether the head was created by the same conditional write that led to this message. The head has hardly
    /// changed since then, so an eventually consistent read is enough.
    pub fresh: bool,
    /// The checks that the message skips.
    pub bypass: Bypass,
    /// The units that each attempt takes from the tenant's allowance; 0 for a delivery that its event includes
    /// ([`allowance`](crate::tenant::allowance)).
    pub units: u32,
    /// Whether the attempt has waited in the lines of its tenant: it takes no units again, also after it was parked.
    pub has_waited: bool,
    /// Whether the event is counted by this message: one message of each new event has this, so that an event and its
    /// delivery are counted in one write.
    pub counts_event: bool,
    /// The trace of the request that brought the event; `None` in a replay.
    pub trace: Option<Trace>,
}

/// The checks that a message skips.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Bypass {
    /// The message skips no check: the circuit breaker and the rate of the endpoint hold for it.
    #[default]
    None,
    /// The message skips the rate: it already waited for its turn. If the endpoint is throttled since, it waits again.
    Paced,
    /// The message skips the rate: it already waited for its turn at the lower rate of a throttled endpoint.
    Throttled,
    /// The message skips the open circuit breaker: its attempt shows whether the endpoint works again.
    Probe,
    /// The same, and a failure uses up the attempt.
    SpendingProbe,
}

impl Bypass {
    /// All bypasses.
    pub const ALL: [Self; 5] = [Self::None, Self::Paced, Self::Throttled, Self::Probe, Self::SpendingProbe];

    /// Returns whether the message is a probe.
    #[must_use]
    pub const fn is_probe(self) -> bool {
        matches!(self, Self::Probe | Self::SpendingProbe)
    }

    /// Returns the name of the bypass in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Paced => "paced",
            Self::Throttled => "throttled",
            Self::Probe => "probe",
            Self::SpendingProbe => "spending_probe",
        }
    }

    /// Returns the bypass with this name; `None` for an unknown name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bypass| bypass.as_str() == name)
    }
}

impl DeliveryMessage {
    /// Makes the message for the first attempt of a delivery.
    #[must_use]
    pub fn first(
        tenant: &TenantId,
        event: EventId,
        endpoint: &EndpointId,
        delivery: &Delivery,
        fresh: bool,
    ) -> Self {
        Self {
            tenant: tenant.clone(),
            event,
            endpoint: endpoint.clone(),
            run: delivery.run.clone(),
            n: 1,
            fresh,
            bypass: Bypass::None,
            units: 0,
            has_waited: false,
            counts_event: false,
            trace: None,
        }
    }

    /// Returns what tells the attempt from others at the same endpoint: the event, the run and the number.
    #[must_use]
    pub fn attempt(&self) -> (EventId, &Run, u32) {
        (self.event, &self.run, self.n)
    }

    /// Makes the same message of this trace.
    #[must_use]
    pub fn traced(self, trace: Option<Trace>) -> Self {
        Self { trace, ..self }
    }

    /// Makes the same message, whose attempts take these units from the tenant's allowance.
    #[must_use]
    pub fn charged(self, units: u32) -> Self {
        Self { units, ..self }
    }

    /// Makes the same message, by which the event is counted or not.
    #[must_use]
    pub fn counting_event(self, counts_event: bool) -> Self {
        Self { counts_event, ..self }
    }

    /// Makes the message for the next attempt.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            n: self.n + 1,
            fresh: false,
            bypass: Bypass::None,
            has_waited: false,
            counts_event: false,
            ..self.clone()
        }
    }

    /// Makes the message to send the same attempt later.
    #[must_use]
    pub fn delayed(&self, bypass: Bypass) -> Self {
        Self { fresh: false, counts_event: false, bypass, ..self.clone() }
    }
}

/// What a message does with the delivery that it finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Make the attempt.
    Attempt,
    /// The attempt is not due yet, or was put off. Send the message again at this time.
    Wait(Timestamp),
    /// The attempt is recorded, but the process may have crashed before it scheduled the next one. Schedule the next
    /// attempt at this time.
    EnsureNext(Timestamp),
    /// Do nothing: the delivery is final, belongs to another run, or has more attempts.
    Nothing,
}

impl Delivery {
    /// Decides what message `n` of `run` does at `now`.
    ///
    /// The message makes its attempt only if the delivery is open, belongs to the same run, and has n-1 recorded
    /// attempts. If n attempts are recorded, the message schedules the next attempt. It does so even if another
    /// process recorded them, and at every receive of the message.
    #[must_use]
    pub fn step(&self, run: &Run, n: u32, now: Timestamp) -> Step {
        if self.state != DeliveryState::Open || self.run != *run {
            Step::Nothing
        } else if self.attempts == n {
            Step::EnsureNext(self.next_at)
        } else if self.attempts + 1 != n {
            Step::Nothing
        } else if now.after(CLOCK_TOLERANCE) < self.next_at {
            Step::Wait(self.next_at)
        } else {
            Step::Attempt
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUE: Timestamp = Timestamp::from_seconds(1000);

    fn entry(state: DeliveryState, attempts: u32) -> Delivery {
        Delivery { state, run: Run::Original, attempts, next_at: DUE, last: None, put_off_since: None }
    }

    #[test]
    fn a_message_makes_only_its_own_attempt() {
        let open = |attempts| entry(DeliveryState::Open, attempts);
        assert_eq!(open(0).step(&Run::Original, 1, DUE), Step::Attempt);
        assert_eq!(open(1).step(&Run::Original, 1, DUE), Step::EnsureNext(DUE));
        assert_eq!(open(2).step(&Run::Original, 1, DUE), Step::Nothing);
        assert_eq!(open(0).step(&Run::Original, 2, DUE), Step::Nothing);
        assert_eq!(open(0).step(&Run::from_stored("rpl_1"), 1, DUE), Step::Nothing);
    }

    #[test]
    fn a_message_does_nothing_with_a_final_delivery() {
        for state in DeliveryState::ALL.into_iter().filter(|state| *state != DeliveryState::Open) {
            for n in 0..3 {
                assert_eq!(entry(state, 1).step(&Run::Original, n, DUE), Step::Nothing);
            }
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
    }

    #[test]
    fn an_early_message_waits_unless_it_is_within_the_clock_tolerance() {
        let open = entry(DeliveryState::Open, 1);
        assert_eq!(open.step(&Run::Original, 2, Timestamp::from_seconds(998)), Step::Wait(DUE));
        assert_eq!(open.step(&Run::Original, 2, Timestamp::from_seconds(999)), Step::Attempt);
    }
}
