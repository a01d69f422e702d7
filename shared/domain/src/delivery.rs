//! One event to one endpoint: its states, and what a message about it may do. Final states never change here.

pub mod gate;

pub mod verdict;

pub mod retry_schedule;

pub mod attempt;

pub mod schedule;

pub mod signature;

pub mod webhook_request;

use std::time::Duration;

use crate::endpoint::id::EndpointId;
use crate::event::id::EventId;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// Clocks of two instances may differ by this much without a message being called early.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeliveryState {
    /// There is another attempt to make.
    Open,
    /// The endpoint took the event.
    Delivered,
    /// The attempts are spent, or the endpoint is disabled.
    Failed,
    /// The endpoint was deleted.
    Cancelled,
    /// The event was acknowledged in the inbox before the endpoint took it.
    Acked,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Open, Self::Delivered, Self::Failed, Self::Cancelled, Self::Acked];

    /// The state's name in JSON and in tables.
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

    /// The state of this name; `None` if there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One endpoint's entry in the head of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Where it stands.
    pub state: DeliveryState,
    /// Which run it belongs to: 0 is the original, a replay's is its job id.
    pub generation: String,
    /// How many attempts are recorded.
    pub attempts: u32,
    /// When the next attempt is due, as long as the delivery is open.
    pub next_at: Timestamp,
    /// The last attempt of this run, if there was one.
    pub last: Option<LastAttempt>,
}

/// What an event's head remembers of an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastAttempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What was answered, in a few words.
    pub answer: String,
}

impl LastAttempt {
    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        self.answer.parse().ok()
    }
}

/// The generation of the original run.
pub const ORIGINAL: &str = "0";

/// What a queue message or a schedule row says: make attempt `n` of this delivery.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DeliveryMessage {
    /// Whose event.
    pub tenant: TenantId,
    /// Which event.
    pub event: EventId,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// In which run.
    pub generation: String,
    /// Which attempt, counted from 1.
    pub n: u32,
    /// Whether the very put that sent this message created the head: then nobody can have changed it much,
    /// and an eventually consistent read will do.
    pub fresh: bool,
    /// What it need not wait for any more.
    pub bypass: Bypass,
}

/// What a message need not wait for any more.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Bypass {
    /// Nothing: it waits for the endpoint's breaker and for its turn.
    #[default]
    None,
    /// Its turn has come.
    Paced,
    /// An open breaker: whether the endpoint is back shall be seen by it.
    Probe,
}

impl Bypass {
    /// Every bypass.
    pub const ALL: [Self; 3] = [Self::None, Self::Paced, Self::Probe];

    /// The name of the bypass in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Paced => "paced",
            Self::Probe => "probe",
        }
    }

    /// The bypass of this name; `None` if there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bypass| bypass.as_str() == name)
    }
}

impl DeliveryMessage {
    /// The message for the first attempt of an event's delivery.
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
            generation: delivery.generation.clone(),
            n: 1,
            fresh,
            bypass: Bypass::None,
        }
    }

    /// The message for the attempt after this one.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { n: self.n + 1, fresh: false, bypass: Bypass::None, ..self.clone() }
    }

    /// The same message, sent later.
    #[must_use]
    pub fn later(&self, bypass: Bypass) -> Self {
        Self { fresh: false, bypass, ..self.clone() }
    }
}

/// What a message is to do, given the entry it finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Make the attempt.
    Attempt,
    /// The attempt is not due yet: send the message again for then.
    Wait(Timestamp),
    /// The attempt is recorded, and whoever recorded it may have died before scheduling the next one: make sure
    /// that it is scheduled for then.
    EnsureNext(Timestamp),
    /// Nothing: the delivery is final, of another run, or further along.
    Nothing,
}

impl Delivery {
    /// What message `n` of `generation` does here at `now`.
    ///
    /// It acts only on an open entry of its own generation with n-1 recorded attempts; an open entry with n
    /// recorded attempts makes it ensure the next one, whoever recorded them and however often it was received.
    #[must_use]
    pub fn step(&self, generation: &str, n: u32, now: Timestamp) -> Step {
        if self.state != DeliveryState::Open || self.generation != generation {
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
        Delivery { state, generation: ORIGINAL.to_owned(), attempts, next_at: DUE, last: None }
    }

    #[test]
    fn a_message_acts_only_on_the_attempt_it_names() {
        let open = |attempts| entry(DeliveryState::Open, attempts);
        assert_eq!(open(0).step(ORIGINAL, 1, DUE), Step::Attempt);
        assert_eq!(open(1).step(ORIGINAL, 1, DUE), Step::EnsureNext(DUE));
        assert_eq!(open(2).step(ORIGINAL, 1, DUE), Step::Nothing);
        assert_eq!(open(0).step(ORIGINAL, 2, DUE), Step::Nothing);
        assert_eq!(open(0).step("job", 1, DUE), Step::Nothing);
    }

    #[test]
    fn a_final_entry_moves_nothing() {
        for state in DeliveryState::ALL.into_iter().filter(|state| *state != DeliveryState::Open) {
            for n in 0..3 {
                assert_eq!(entry(state, 1).step(ORIGINAL, n, DUE), Step::Nothing);
            }
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
    }

    #[test]
    fn a_message_before_its_time_waits_except_for_a_difference_of_clocks() {
        let open = entry(DeliveryState::Open, 1);
        assert_eq!(open.step(ORIGINAL, 2, Timestamp::from_seconds(998)), Step::Wait(DUE));
        assert_eq!(open.step(ORIGINAL, 2, Timestamp::from_seconds(999)), Step::Attempt);
    }
}
