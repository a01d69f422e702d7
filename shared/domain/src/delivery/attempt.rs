//! One POST as its endpoint's owner is shown it: when, how long, what was answered, and what follows.

use crate::delivery::verdict::{Answer, Verdict};
use crate::delivery::{Bypass, Delivery, DeliveryMessage, DeliveryState, LastAttempt};
use crate::timestamp::Timestamp;

/// A POST that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// Which event, to which endpoint, in which run, as the how-manieth attempt.
    pub message: DeliveryMessage,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What was answered.
    pub answer: Answer,
    /// What it means.
    pub verdict: Verdict,
}

impl Attempt {
    /// What the head of its event remembers of it.
    #[must_use]
    pub fn in_short(&self) -> LastAttempt {
        LastAttempt { at: self.at, duration_ms: self.duration_ms, answer: self.answer.to_string() }
    }

    /// The success at the first attempt that stands in an event's head alone; `None` where that is not how this delivery
    /// ended. What the body of the answer was nobody kept.
    #[must_use]
    pub fn remembered(message: &DeliveryMessage, delivery: &Delivery) -> Option<Self> {
        let is_first = delivery.state == DeliveryState::Delivered && delivery.attempts == 1;
        let last = delivery.last.as_ref().filter(|_| is_first)?;
        let answer = Answer::Status { code: last.code()?, retry_after: None, excerpt: String::new() };
        Some(Self {
            message: DeliveryMessage { n: 1, ..message.clone() },
            at: last.at,
            duration_ms: last.duration_ms,
            answer,
            verdict: Verdict::Delivered,
        })
    }

    /// Whether it is listed at its endpoint, by an item of its own: a success at the first attempt stands in the event's head
    /// alone.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.message.n > 1 || self.verdict != Verdict::Delivered || self.is_probe()
    }

    /// Whether it was made to see if the endpoint is back.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.message.bypass == Bypass::Probe
    }

    /// Whether it is as if it had not been made: a probe that failed spends no attempt, unless its endpoint is gone.
    #[must_use]
    pub fn spends_none(&self) -> bool {
        self.is_probe() && !matches!(self.verdict, Verdict::Delivered | Verdict::DisableEndpoint)
    }
}
