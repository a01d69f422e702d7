//! One attempt: a POST, its answer and its verdict, as the owner of the endpoint sees them.

use crate::delivery::verdict::{Answer, Verdict};
use crate::delivery::{Bypass, Delivery, DeliveryMessage, DeliveryState, LastAttempt};
use crate::timestamp::Timestamp;

/// A POST that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// The message that led to the attempt: the event, the endpoint, the run and the attempt number.
    pub message: DeliveryMessage,
    /// When the attempt started.
    pub at: Timestamp,
    /// The duration of the attempt, in milliseconds.
    pub duration_ms: u64,
    /// The answer.
    pub answer: Answer,
    /// The verdict on the answer.
    pub verdict: Verdict,
}

impl Attempt {
    /// Returns the part that the head of the event keeps.
    #[must_use]
    pub fn to_last_attempt(&self) -> LastAttempt {
        LastAttempt { at: self.at, duration_ms: self.duration_ms, answer: self.answer.to_string() }
    }

    /// Returns the attempt of a delivery that succeeded at the first attempt. Only the head of the event has that
    /// attempt, and the body of the answer is not kept. Returns `None` for any other delivery.
    #[must_use]
    pub fn from_head(message: &DeliveryMessage, delivery: &Delivery) -> Option<Self> {
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

    /// Returns whether the attempt has an item of its own, which lists it at its endpoint. A success at the first
    /// attempt has none; only the head has it.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.message.n > 1 || self.verdict != Verdict::Delivered || self.is_probe()
    }

    /// Returns whether the attempt was a probe.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.message.bypass.is_probe()
    }

    /// Returns whether the delivery is parked again. That is so after a failed [`Bypass::Probe`], unless the endpoint is
    /// gone. After a 429 the delivery is put off, like any other.
    #[must_use]
    pub fn is_parked_again(&self) -> bool {
        self.message.bypass == Bypass::Probe && matches!(self.verdict, Verdict::RetryAt(_) | Verdict::GiveUp)
    }

    /// Returns whether the attempt uses up none of the delivery's attempts.
    #[must_use]
    pub fn spends_no_attempt(&self) -> bool {
        self.is_parked_again() || matches!(self.verdict, Verdict::PutOff(_))
    }
}
