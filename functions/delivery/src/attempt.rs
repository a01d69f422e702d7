//! One delivery message: attempt, verdict, record, schedule, in that order; then the message may be deleted.
//!
//! ```text
//!   read head ── deleted ───────────────────────────> forget what is left ──> done
//!       │ ── final, other run, further along ─────────────────────────────> done
//!       │ ── n attempts recorded: their recorder may have died ─> send n+1 ─> done
//!       │ ── not due yet ────────────────────────────────> send n again ───> done
//!       └── n-1 attempts recorded
//!             │ ── endpoint deleted or disabled ────────────> one update ──> done
//!             │ ── breaker open, paused ──────────────────────> park n ────> done
//!             │ ── rate used up ────────────────────────> send n again ────> done
//!             └── POST ─> one update, condition rev = seen
//!                            written ─> send n+1 at its time ──────────────> done
//!                            raced ───> read again, decide again, or forget
//! ```
//!
//! A probe that fails is parked again: it spends no attempt. An error anywhere gives the message back to its queue. A crash
//! after the POST and before the update makes the receiver see the same `webhook-id` twice; nothing makes an event see no
//! one.

use domain::delivery::attempt::Attempt;
use domain::delivery::schedule::{Due, MAX_DELAY, Parked};
use domain::delivery::verdict::failure::Failure;
use domain::delivery::verdict::{Answer, Verdict};
use domain::delivery::{Bypass, DeliveryMessage, ORIGINAL_RUN, Step, webhook_request};
use domain::endpoint::Endpoint;
use domain::endpoint::private::Private;
use domain::endpoint::url::EndpointUrl;
use domain::inbox::{Head, Outcome, Status};
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::events::head_item::Found;
use store::items::Updated;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::{PortResult, Unavailable};
use store::webhook_sender::WebhookSender;

use crate::admission::Admission;
use crate::handler::Delivery;
use crate::tally::Tally;

/// How often a raced update is decided again before the message goes back to its queue.
const MAX_RACES: usize = 20;

impl<P: Ports> Delivery<P> {
    /// Does what a message says, as far as the head it finds still asks for it and the endpoint takes it.
    pub(crate) async fn deliver(
        &self,
        message: &DeliveryMessage,
        first_receipt: bool,
        entry: Admission,
    ) -> PortResult<Tally> {
        let Some(found) = self.read(message, first_receipt).await? else { return Ok(Tally::default()) };
        if found.head.is_expired_or_deleted(self.clock.now()) {
            return self.leave(message, &found.head).await; // nobody is owed anything any more
        }
        match self.step(&found.head, message) {
            Step::Nothing => Ok(Tally::default()),
            Step::Wait(at) => self.send_at(message.delayed(Bypass::None), at, &found.head).await,
            Step::EnsureNext(at) => self.send_at(message.next(), at, &found.head).await,
            Step::Attempt => self.enter(found, message, entry).await,
        }
    }

    /// The head, read consistently; only the first receipt of the message that the very put sent may look faster.
    async fn read(&self, message: &DeliveryMessage, first_receipt: bool) -> PortResult<Option<Found>> {
        if message.fresh && first_receipt {
            let fast = self.events.head_eventually(&message.tenant, message.event).await?;
            if fast.is_some() {
                return Ok(fast);
            }
        }
        self.events.head(&message.tenant, message.event).await
    }

    fn step(&self, head: &Head, message: &DeliveryMessage) -> Step {
        let entry = head.deliveries.get(&message.endpoint);
        entry.map_or(Step::Nothing, |entry| entry.step(&message.generation, message.n, self.clock.now()))
    }

    /// Makes the attempt, unless the endpoint as it is now takes none.
    async fn enter(&self, found: Found, message: &DeliveryMessage, entry: Admission) -> PortResult<Tally> {
        match entry {
            Admission::Unknown(error) => Err(Unavailable::new("reading an endpoint", error)),
            Admission::Deleted => self.record(found.head, message, &Outcome::EndpointDeleted).await,
            Admission::Disabled(endpoint) => {
                let recorded = self.record(found.head, message, &Outcome::EndpointDisabled).await?;
                Ok(recorded.plus(&self.tell_what_is_left(message, &endpoint).await))
            }
            Admission::Parked => self.park(&found.head, message).await,
            Admission::Later(at) => {
                let sent = self.send_at(message.delayed(Bypass::Paced), at, &found.head).await?;
                Ok(sent.plus(&Tally::once("paced")))
            }
            Admission::Open(endpoint) => self.attempt(found, message, &endpoint).await,
        }
    }

    async fn attempt(
        &self,
        found: Found,
        message: &DeliveryMessage,
        endpoint: &Endpoint,
    ) -> PortResult<Tally> {
        let Some(payload) = self.events.payload(&message.tenant, &found).await? else {
            return Ok(Tally::default()); // it expired before its head did
        };
        let Some(private) = self.private(message, endpoint).await? else {
            return Ok(Tally::default()); // its tenant is being erased, and its data key is gone already
        };
        let at = self.clock.now();
        let answer = self.post(endpoint, &private, found.head.content(&payload), at).await;
        let ended = self.clock.now();
        let verdict = Verdict::on(&answer, message.n, ended, &mut rand::rng());
        let attempt =
            Attempt { message: message.clone(), at, duration_ms: ended.millis_since(at), answer, verdict };
        log(&attempt);
        let mut tally = tally_of(&attempt);
        self.log_attempt(&attempt, found.head.expires_at).await;
        let outcome = Outcome::Attempted(verdict, attempt.to_last_attempt());
        tally = tally.plus(&if attempt.spends_no_attempt() {
            self.park(&found.head, message).await?
        } else {
            self.record(found.head, message, &outcome).await?
        });
        Ok(tally.plus(&self.note_health(message, endpoint, &attempt.answer, verdict).await))
    }

    async fn private(&self, message: &DeliveryMessage, endpoint: &Endpoint) -> PortResult<Option<Private>> {
        let Some(key) = self.keys.key(&message.tenant).await? else { return Ok(None) };
        let private = Private::open(&key, &message.tenant, &endpoint.id, &endpoint.sealed);
        private.map(Some).map_err(|error| Unavailable::new("opening an endpoint", error))
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        private: &Private,
        event: webhook_request::Content<'_>,
        now: Timestamp,
    ) -> Answer {
        let Ok(url) = EndpointUrl::parse(&endpoint.url, self.url_policy) else {
            return Answer::None(Failure::Refused);
        };
        let request = webhook_request::request(url, endpoint, private, &self.signing, event, now);
        self.webhooks.post(&request, now).await
    }

    /// Keeps an attempt for the endpoint's owner. Where that fails, the attempt counts all the same.
    async fn log_attempt(&self, attempt: &Attempt, expires_at: Timestamp) {
        if attempt.is_listed()
            && let Err(error) = self.events.log_attempt(attempt, expires_at).await
        {
            tracing::warn!(cause = %error, "an attempt is not in the log");
        }
    }

    /// Parks a delivery until its endpoint takes it again.
    async fn park(&self, head: &Head, message: &DeliveryMessage) -> PortResult<Tally> {
        let token = format!("{:032x}", rand::random::<u128>());
        let parked = Parked { message: message.delayed(Bypass::None), token };
        self.schedule.park(&parked, head.expires_at).await?;
        tracing::debug!(step = "parked", event = %message.event, endpoint = %message.endpoint, n = message.n);
        Ok(Tally::once("parked"))
    }

    /// Records the outcome by one conditional update, and schedules what follows from it.
    async fn record(
        &self,
        mut head: Head,
        message: &DeliveryMessage,
        outcome: &Outcome,
    ) -> PortResult<Tally> {
        for _ in 0..MAX_RACES {
            let Some(next) = head.record(message, outcome) else {
                return self.ensure_next(&head, message).await; // somebody recorded it, perhaps we ourselves
            };
            match self.events.update(&message.tenant, &next).await? {
                Updated::Done => {
                    let sent = self.ensure_next(&next, message).await?;
                    return Ok(sent.plus(&self.recorded(&head, &next, message, outcome)));
                }
                Updated::Raced => match self.events.head(&message.tenant, message.event).await? {
                    Some(found) if found.head.status == Status::Deleted => {
                        return self.leave(message, &found.head).await;
                    }
                    Some(found) => head = found.head,
                    None => return Ok(Tally::default()),
                },
            }
        }
        Err(Unavailable::new("recording a delivery", "too many races"))
    }

    /// Leaves an event that is gone, and nothing of an attempt that was under way when it was deleted.
    async fn leave(&self, message: &DeliveryMessage, head: &Head) -> PortResult<Tally> {
        self.events.delete_leftovers(&message.tenant, head).await.map(|()| Tally::default())
    }

    /// Makes sure that the attempt after this message's is scheduled, where the head asks for it.
    async fn ensure_next(&self, head: &Head, message: &DeliveryMessage) -> PortResult<Tally> {
        match self.step(head, message) {
            Step::EnsureNext(at) => self.send_at(message.next(), at, head).await,
            Step::Attempt | Step::Wait(_) | Step::Nothing => Ok(Tally::default()),
        }
    }

    /// Sends a message that arrives then: through the queue, or as a row where that is longer than the queue can delay.
    async fn send_at(&self, message: DeliveryMessage, at: Timestamp, head: &Head) -> PortResult<Tally> {
        let delay = at.since(self.clock.now());
        if delay > MAX_DELAY {
            self.schedule.put_due(&Due { message, at }, head.expires_at).await?;
        } else {
            self.deliveries.send(&[Delayed { message, delay }]).await?;
        }
        Ok(Tally::default())
    }

    fn recorded(&self, before: &Head, after: &Head, message: &DeliveryMessage, outcome: &Outcome) -> Tally {
        let ended = match outcome {
            Outcome::Attempted(Verdict::RetryAt(_), _) => Tally::default(),
            Outcome::Attempted(Verdict::Delivered, _) => {
                let ms = self.clock.now().millis_since(after.id.accepted_at());
                let (event, endpoint) = (&message.event, &message.endpoint);
                tracing::debug!(step = "delivered", %event, %endpoint, n = message.n, ms);
                Tally::delivered(&message.tenant)
            }
            _ => Tally::failed(&message.tenant),
        };
        let has_left = before.status.is_in_inbox() && !after.status.is_in_inbox();
        let left = if has_left { Tally::settled(&message.tenant, message.event) } else { Tally::default() };
        ended.plus(&left)
    }
}

fn tally_of(attempt: &Attempt) -> Tally {
    let mut tally = Tally::once(match attempt.verdict {
        _ if attempt.is_probe() && attempt.verdict != Verdict::Delivered => "probes_failed",
        Verdict::Delivered => "attempts_delivered",
        Verdict::RetryAt(_) => "attempts_retry",
        Verdict::GiveUp => "attempts_give_up",
        Verdict::DisableEndpoint => "attempts_disable_endpoint",
    });
    if matches!(attempt.answer, Answer::None(failure) if failure.is_refused_by_us()) {
        tally = tally.plus(&Tally::once("ssrf_refused"));
    }
    let message = &attempt.message;
    if message.n == 1 && message.generation == ORIGINAL_RUN && !attempt.spends_no_attempt() {
        let waited_ms = attempt.at.millis_since(message.event.accepted_at());
        tally = tally.plus(&Tally::first_attempt(&message.tenant, waited_ms));
    }
    tally
}

fn log(Attempt { message, answer, verdict, duration_ms, .. }: &Attempt) {
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
