//! One delivery message: attempt, verdict, record, schedule, in that order; then the message may be deleted.
//!
//! ```text
//!   read head ── final, other run, further along ──────────────────────────> done
//!       │ ── n attempts recorded: their recorder may have died ─> send n+1 ─> done
//!       │ ── not due yet ────────────────────────────────> send n again ───> done
//!       └── n-1 attempts recorded: POST ─> one update, condition rev = seen
//!                                   written ─> send n+1 at its time ───────> done
//!                                   raced ───> read again, decide again
//! ```
//!
//! An error anywhere gives the message back to its queue. A crash after the POST and before the update makes
//! the receiver see the same `webhook-id` twice; nothing makes an event see no one.

use std::time::Duration;

use triggers::delivery::{DeliveryMessage, Step};
use triggers::endpoint::{Endpoint, EndpointState, EndpointUrl};
use triggers::inbox::{Head, Outcome};
use triggers::ports::{
    Clock, Control, Counts, DeliveryQueue, Events, Found, Limits, PortResult, Unavailable, Updated,
    WebhookSender,
};
use triggers::timestamp::Timestamp;
use triggers::verdict::{Answer, Failure, Verdict};

use crate::handler::Delivery;
use triggers::webhook;

/// How often a raced update is decided again before the message goes back to its queue.
const MOST_RACES: usize = 20;

impl<C, E, L, Q, W, T> Delivery<C, E, L, Q, W, T>
where
    C: Control,
    E: Events,
    L: Limits,
    Q: DeliveryQueue,
    W: WebhookSender,
    T: Clock,
{
    /// Does what a message says, as far as the head it finds still asks for it.
    pub(crate) async fn deliver(&self, message: &DeliveryMessage, first_receipt: bool) -> PortResult<Counts> {
        let found = self.read(message, first_receipt).await?;
        let Some(found) = found.filter(|found| !found.head.is_expired(self.clock.now())) else {
            return Ok(Counts::default()); // nobody is owed anything any more
        };
        match self.step(&found.head, message) {
            Step::Nothing => Ok(Counts::default()),
            Step::Wait(at) => self.send_at(message, at).await,
            Step::EnsureNext(at) => self.send_at(&message.next(), at).await,
            Step::Attempt => {
                let Some(payload) = self.events.payload(&message.tenant, &found).await? else {
                    return Ok(Counts::default()); // it expired before its head did
                };
                let outcome = self.attempt(&found.head, &payload, message).await?;
                self.record(found.head, message, &outcome).await
            }
        }
    }

    /// The head, read consistently; only the first receipt of the message that the very put sent may look faster.
    async fn read(&self, message: &DeliveryMessage, first_receipt: bool) -> PortResult<Option<Found>> {
        if message.fresh && first_receipt {
            let fast = self.events.head(&message.tenant, message.event, false).await?;
            if fast.is_some() {
                return Ok(fast);
            }
        }
        self.events.head(&message.tenant, message.event, true).await
    }

    fn step(&self, head: &Head, message: &DeliveryMessage) -> Step {
        let entry = head.deliveries.get(&message.endpoint);
        entry.map_or(Step::Nothing, |entry| entry.step(&message.generation, message.n, self.clock.now()))
    }

    /// Makes the attempt, unless the endpoint as it is now takes none.
    async fn attempt(&self, head: &Head, payload: &str, message: &DeliveryMessage) -> PortResult<Outcome> {
        let endpoint = match self.control.endpoint(&message.tenant, &message.endpoint).await? {
            None => return Ok(Outcome::EndpointDeleted),
            Some(endpoint) if endpoint.state == EndpointState::Disabled => {
                return Ok(Outcome::EndpointDisabled);
            }
            Some(endpoint) => endpoint,
        };
        let began = self.clock.now();
        let answer = self.post(&endpoint, head, payload, began).await;
        let ended = self.clock.now();
        let verdict = Verdict::on(&answer, message.n, ended, &mut rand::rng());
        log_attempt(message, &answer, verdict, ended.millis_since(began));
        if verdict == Verdict::DisableEndpoint {
            self.control.disable(&message.tenant, &endpoint).await?;
        }
        Ok(Outcome::Attempted(verdict, answer.to_string()))
    }

    async fn post(&self, endpoint: &Endpoint, head: &Head, payload: &str, now: Timestamp) -> Answer {
        let Ok(url) = EndpointUrl::parse(&endpoint.url, self.url_policy) else {
            return Answer::None(Failure::Refused);
        };
        self.webhooks.post(&webhook::request(url, &endpoint.secret, head, payload, now), now).await
    }

    /// Records the outcome by one conditional update, and schedules what follows from it.
    async fn record(
        &self,
        mut head: Head,
        message: &DeliveryMessage,
        outcome: &Outcome,
    ) -> PortResult<Counts> {
        for _ in 0..MOST_RACES {
            let Some(next) = head.record(message, outcome) else {
                return self.ensure_next(&head, message).await; // somebody recorded it, perhaps we ourselves
            };
            match self.events.update(&message.tenant, &next).await? {
                Updated::Done => {
                    self.ensure_next(&next, message).await?;
                    return Ok(self.recorded(&head, &next, message, outcome));
                }
                Updated::Raced => match self.events.head(&message.tenant, message.event, true).await? {
                    Some(found) => head = found.head,
                    None => return Ok(Counts::default()),
                },
            }
        }
        Err(Unavailable::new("recording a delivery", "too many races"))
    }

    /// Makes sure that the attempt after this message's is scheduled, where the head asks for it.
    async fn ensure_next(&self, head: &Head, message: &DeliveryMessage) -> PortResult<Counts> {
        match self.step(head, message) {
            Step::EnsureNext(at) => self.send_at(&message.next(), at).await,
            Step::Attempt | Step::Wait(_) | Step::Nothing => Ok(Counts::default()),
        }
    }

    async fn send_at(&self, message: &DeliveryMessage, at: Timestamp) -> PortResult<Counts> {
        let delay: Duration = at.since(self.clock.now());
        self.deliveries.send(std::slice::from_ref(message), delay).await?;
        Ok(Counts::default())
    }

    fn recorded(&self, before: &Head, after: &Head, message: &DeliveryMessage, outcome: &Outcome) -> Counts {
        let delivered = matches!(outcome, Outcome::Attempted(Verdict::Delivered, _));
        let retried = matches!(outcome, Outcome::Attempted(Verdict::RetryAt(_), _));
        if delivered {
            let ms = self.clock.now().millis_since(after.id.accepted_at());
            let (event, endpoint) = (&message.event, &message.endpoint);
            tracing::debug!(step = "delivered", %event, %endpoint, n = message.n, ms);
        }
        Counts {
            delivered: u64::from(delivered),
            failed: u64::from(!delivered && !retried),
            settled: u64::from(before.status.is_in_inbox() && !after.status.is_in_inbox()),
            ..Counts::default()
        }
    }
}

fn log_attempt(message: &DeliveryMessage, answer: &Answer, verdict: Verdict, duration_ms: u64) {
    let next_at = match verdict {
        Verdict::RetryAt(at) => Some(at.to_string()),
        Verdict::Delivered | Verdict::GiveUp | Verdict::DisableEndpoint => None,
    };
    tracing::debug!(
        step = "attempt",
        event = %message.event,
        endpoint = %message.endpoint,
        n = message.n,
        verdict = verdict.as_str(),
        %answer,
        duration_ms,
        next_at,
    );
}
