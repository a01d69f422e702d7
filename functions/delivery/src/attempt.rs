//! Handles one delivery message: makes the attempt, records the verdict, schedules the next attempt, in this order. Then the
//! message can be deleted.
//!
//! ```text
//!   read head ── deleted ─────────────────────────> delete what is left ──> done
//!       │ ── final state, other run, later attempt ───────────────────────> done
//!       │ ── attempt n is recorded: its process may have crashed ─> send n+1 ─> done
//!       │ ── not due yet ────────────────────────────────> send n again ──> done
//!       └── attempt n-1 is recorded
//!             │ ── endpoint deleted or disabled ────────────> record ─────> done
//!             │ ── circuit breaker open, or paused ─────────> park n ─────> done
//!             │ ── slow, and on the quick lane ─> into the inbox, then send n by the slow lane ─> done
//!             │ ── rate limit reached ──────────────────────> send n again ─> done
//!             │ ── a lower rate after a 429 is reached ─────> park n ─────> done
//!             └── POST ─> one update, if `rev` is unchanged
//!                            written ─> send n+1, or n if a 429 put it off ─> done
//!                            lost ────> read the head again, decide again
//! ```
//!
//! A failed probe is parked again and uses no attempt, unless it is a probe that spends its attempt. After any error the
//! message returns to its queue. After a crash between the POST and the update, the receiver gets the same `webhook-id`
//! twice. No crash can lose an event.

use domain::delivery::attempt::Attempt;
use domain::delivery::lane::Lane;
use domain::delivery::run::Run;
use domain::delivery::schedule::{Due, MAX_DELAY};
use domain::delivery::verdict::failure::Failure;
use domain::delivery::verdict::{Answer, Verdict};
use domain::delivery::webhook_request::AttemptOf;
use domain::delivery::{Bypass, DeliveryMessage, Step, webhook_request};
use domain::endpoint::Endpoint;
use domain::endpoint::private::Private;
use domain::inbox::{Head, Outcome, Status};
use domain::timestamp::Timestamp;
use runtime::batch::Message;
use store::clock::Clock;
use store::events::head_item::Found;
use store::items::Updated;
use store::ports::Ports;
use store::queues::Delayed;
use store::races::{Round, until_won};
use store::unavailable::{PortResult, Unavailable};
use store::webhook_sender::WebhookSender;

use crate::admission::{Admission, Decision};
use crate::handler::Delivery;
use crate::slowness::Watched;
use crate::tally::Tally;

impl<P: Ports> Delivery<P> {
    /// Handles a message, as far as the head still needs the attempt and the endpoint allows it. Counts its event at the first
    /// receipt that is handled; a later receipt counts it only if it still finds something to do.
    pub(crate) async fn deliver(
        &self,
        message: &DeliveryMessage,
        received: &Message,
        admission: Admission,
    ) -> PortResult<Tally> {
        let (step, tally) = self.handle_step(message, received, admission).await?;
        let is_counted = received.is_first_receipt() || step == Step::Attempt;
        Ok(if is_counted { tally.plus(&Tally::of_event(message)) } else { tally })
    }

    /// Does what the head asks of a message. Returns it with the numbers.
    async fn handle_step(
        &self,
        message: &DeliveryMessage,
        received: &Message,
        admission: Admission,
    ) -> PortResult<(Step, Tally)> {
        let Some(found) = self.read_head(message, received.is_first_receipt()).await? else {
            return Ok((Step::Nothing, Tally::default()));
        };
        if found.head.is_expired_or_deleted(self.clock.now()) {
            return Ok((Step::Nothing, self.delete_leftovers(message, &found.head).await?));
        }
        if received.keeps_failing() && found.head.enter_inbox().is_some() {
            self.enter_inbox(&message.tenant, &found.head).await?;
            return Box::pin(self.handle_step(message, received, admission)).await;
        }
        let step = self.step(&found.head, message);
        let lane = admission.lane;
        let tally = match step {
            Step::Nothing => Tally::default(),
            Step::Wait(at) => self.send_at(message.delayed(Bypass::None), at, lane, &found.head).await?,
            Step::EnsureNext(at) => self.send_at(message.next(), at, lane, &found.head).await?,
            Step::Attempt => self.apply(admission, found, message, received).await?,
        };
        Ok((step, tally))
    }

    /// Reads the head. The read is consistent, except for the first receipt of a message that was sent when its event was
    /// stored: an eventually consistent read costs half, and such a head has no attempt to miss.
    async fn read_head(
        &self,
        message: &DeliveryMessage,
        is_first_receipt: bool,
    ) -> PortResult<Option<Found>> {
        if message.fresh && is_first_receipt {
            let found = self.events.head_eventually(&message.tenant, message.event).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        self.events.head(&message.tenant, message.event).await
    }

    /// Returns what the message does, according to the head.
    fn step(&self, head: &Head, message: &DeliveryMessage) -> Step {
        match head.deliveries.get(&message.endpoint) {
            Some(delivery) => delivery.step(&message.run, message.n, self.clock.now()),
            None => Step::Nothing,
        }
    }

    /// Makes the attempt, or what the admission says instead.
    async fn apply(
        &self,
        Admission { decision, lane }: Admission,
        found: Found,
        message: &DeliveryMessage,
        received: &Message,
    ) -> PortResult<Tally> {
        match decision {
            Decision::Unknown(error) => Err(Unavailable::new("reading an endpoint", error)),
            Decision::Deleted => self.record(&found.head, message, &Outcome::EndpointDeleted, lane).await,
            Decision::Disabled(endpoint) => {
                let tally = self.record(&found.head, message, &Outcome::EndpointDisabled, lane).await?;
                Ok(tally.plus(&self.send_due_notice(message, &endpoint).await))
            }
            Decision::Parked { has_waited } => {
                let message = DeliveryMessage { has_waited, ..message.clone() };
                self.park(&found.head, &message, received, false).await
            }
            Decision::Later { at, bypass, has_waited } => {
                let later = DeliveryMessage { has_waited, ..message.delayed(bypass) };
                let tally = self.send_at(later, at, lane, &found.head).await?;
                Ok(tally.plus(&Tally::once("paced")))
            }
            Decision::Moves => {
                let (event, endpoint, n) = (message.event, &message.endpoint, message.n);
                tracing::debug!(step = "moved", %event, trace = message.trace.map(display), %endpoint, n);
                // The slow lane may be hours behind, and the decision at the birth of the event did not ask for it.
                self.enter_inbox(&message.tenant, &found.head).await?;
                self.send_at(message.delayed(message.bypass), self.clock.now(), lane, &found.head).await
            }
            Decision::Open(endpoint) => self.attempt(&found, message, received, &endpoint).await,
        }
    }

    async fn attempt(
        &self,
        found: &Found,
        message: &DeliveryMessage,
        received: &Message,
        endpoint: &Endpoint,
    ) -> PortResult<Tally> {
        // 1. Read what the request needs. Without it the event no longer has to be delivered.
        let payload = self.events.payload(&message.tenant, found).await?;
        let private = self.open_private(message, endpoint).await?;
        let (Some(payload), Some(private)) = (payload, private) else {
            // The payload expired before its head, or the tenant is being erased. If not, an operator finds the event.
            self.enter_inbox(&message.tenant, &found.head).await?;
            return Ok(Tally::default());
        };

        // 2. POST, and decide on the answer.
        let at = self.clock.now();
        let request = self.post(endpoint, &private, found.head.content(&payload), message, at);
        let Watched { answer, ended, lane } = self.watch_slowness(message, endpoint, request).await;
        let duration_ms = ended.millis_since(at);
        let put_off_since = found.head.put_off_since(&message.endpoint);
        let verdict = Verdict::on(&answer, message.n, put_off_since, ended, &mut rand::rng());
        let attempt = Attempt { message: message.clone(), at, duration_ms, answer, verdict };
        log(&attempt);

        // 3. Store the attempt for the owner of the endpoint.
        self.log_attempt(&attempt, found.head.expires_at).await;

        // 4. Record the outcome in the head, and schedule the next attempt. Only now is the message handled.
        let recorded = self.settle(&found.head, &attempt, received, lane).await?;

        // 5. Update the health of the endpoint. This cannot fail the message.
        let health = self.update_health(message, endpoint, &attempt.answer, verdict).await;
        Ok(tally_of(&attempt).plus(&recorded).plus(&health))
    }

    /// Records an attempt, or parks a probe that spends no attempt.
    async fn settle(
        &self,
        head: &Head,
        attempt: &Attempt,
        received: &Message,
        lane: Lane,
    ) -> PortResult<Tally> {
        if attempt.is_parked_again() {
            return self.park(head, &attempt.message, received, true).await;
        }
        let outcome = Outcome::Attempted(attempt.verdict, attempt.to_last_attempt());
        self.record(head, &attempt.message, &outcome, lane).await
    }

    /// Decrypts the secrets and headers of an endpoint. Returns `None` if the tenant has no data key.
    async fn open_private(
        &self,
        message: &DeliveryMessage,
        endpoint: &Endpoint,
    ) -> PortResult<Option<Private>> {
        let Some(key) = self.keys.key(&message.tenant).await? else { return Ok(None) };
        let private = Private::open(&key, &message.tenant, &endpoint.id, &endpoint.sealed);
        private.map(Some).map_err(|error| Unavailable::new("decrypting an endpoint", error))
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        private: &Private,
        content: webhook_request::Content<'_>,
        message: &DeliveryMessage,
        now: Timestamp,
    ) -> Answer {
        let traceparent = message.trace.map(|trace| trace.to_header(rand::random()));
        let attempt = AttemptOf { n: message.n, run: &message.run, traceparent: traceparent.as_deref() };
        let Some(url) = self.own_hosts.url_elsewhere(&endpoint.url, self.url_policy) else {
            return Answer::None(Failure::Refused);
        };
        let request = webhook_request::request(url, endpoint, private, &self.signing, content, attempt, now);
        self.webhooks.post(&request, now).await
    }

    /// Stores an attempt for the owner of the endpoint. A failure is logged only: the attempt counts nevertheless.
    async fn log_attempt(&self, attempt: &Attempt, expires_at: Timestamp) {
        if attempt.is_listed()
            && let Err(error) = self.events.log_attempt(attempt, expires_at).await
        {
            tracing::warn!(cause = %error, "an attempt was not stored; the list of attempts of its endpoint does not show it");
        }
    }

    /// Records the outcome in the head, and schedules the next attempt by this lane.
    async fn record(
        &self,
        head: &Head,
        message: &DeliveryMessage,
        outcome: &Outcome,
        lane: Lane,
    ) -> PortResult<Tally> {
        if let Round::Ended(tally) = self.try_record(head, message, outcome, lane).await? {
            return Ok(tally);
        }
        // Another writer changed the head since it was read: read it again, and decide again.
        until_won("recording a delivery", || async {
            match self.events.head(&message.tenant, message.event).await? {
                Some(found) if found.head.status == Status::Deleted => {
                    Ok(Round::Ended(self.delete_leftovers(message, &found.head).await?))
                }
                Some(found) => self.try_record(&found.head, message, outcome, lane).await,
                None => Ok(Round::Ended(Tally::default())),
            }
        })
        .await
    }

    /// Records the outcome by one update, on the condition that the head is unchanged.
    async fn try_record(
        &self,
        head: &Head,
        message: &DeliveryMessage,
        outcome: &Outcome,
        lane: Lane,
    ) -> PortResult<Round<Tally>> {
        let Some(next) = head.record(message, outcome) else {
            // The attempt is recorded already: by another process, or by an update of ours whose answer was lost.
            return Ok(Round::Ended(self.ensure_next(head, message, lane).await?));
        };
        if self.write_head(&message.tenant, head, &next).await? == Updated::Raced {
            return Ok(Round::Lost);
        }
        let sent = self.ensure_next(&next, message, lane).await?;
        Ok(Round::Ended(sent.plus(&self.tally_of_record(message, outcome))))
    }

    /// Deletes what an attempt in flight has stored of an event that was deleted during the attempt. Changes nothing else.
    async fn delete_leftovers(&self, message: &DeliveryMessage, head: &Head) -> PortResult<Tally> {
        self.events.delete_leftovers(&message.tenant, head).await?;
        Ok(Tally::default())
    }

    /// Schedules the attempt after this message, or the same attempt if it was put off, if the head needs it.
    async fn ensure_next(&self, head: &Head, message: &DeliveryMessage, lane: Lane) -> PortResult<Tally> {
        match self.step(head, message) {
            Step::EnsureNext(at) => self.send_at(message.next(), at, lane, head).await,
            Step::Wait(at) => self.send_at(message.delayed(Bypass::None), at, lane, head).await,
            // The attempt was put off, and is due by now.
            Step::Attempt => self.send_at(message.delayed(Bypass::None), self.clock.now(), lane, head).await,
            Step::Nothing => Ok(Tally::default()),
        }
    }

    /// Sends a message that is due at this time: through the queue of a lane, or as a row if the delay is too long for a queue.
    async fn send_at(
        &self,
        message: DeliveryMessage,
        at: Timestamp,
        lane: Lane,
        head: &Head,
    ) -> PortResult<Tally> {
        let delay = at.since(self.clock.now());
        if delay > MAX_DELAY {
            self.enter_inbox(&message.tenant, head).await?;
            self.schedule.put_due(&Due { message, at }, head.expires_at).await?;
        } else {
            self.deliveries.send(&[Delayed { message, lane, delay }]).await?;
        }
        Ok(Tally::default())
    }

    fn tally_of_record(&self, message: &DeliveryMessage, outcome: &Outcome) -> Tally {
        match outcome {
            Outcome::Attempted(Verdict::RetryAt(_) | Verdict::PutOff(_), _) => Tally::default(),
            Outcome::Attempted(Verdict::Delivered, _) => {
                let ms = self.clock.now().millis_since(message.event.accepted_at());
                let DeliveryMessage { event, endpoint, n, .. } = message;
                tracing::debug!(step = "delivered", %event, trace = message.trace.map(display), %endpoint, n, ms);
                Tally::delivered(&message.tenant)
            }
            _ => Tally::failed(&message.tenant),
        }
    }
}

fn tally_of(attempt: &Attempt) -> Tally {
    let mut tally = Tally::once(match attempt.verdict {
        Verdict::Delivered => "attempts_delivered",
        Verdict::PutOff(_) => "attempts_put_off",
        _ if attempt.is_probe() => "probes_failed",
        Verdict::RetryAt(_) => "attempts_retry",
        Verdict::GiveUp => "attempts_give_up",
        Verdict::DisableEndpoint => "attempts_disable_endpoint",
    });
    let message = &attempt.message;
    if matches!(attempt.answer, Answer::None(failure) if failure.is_refused_by_us()) {
        let DeliveryMessage { tenant, endpoint, event, .. } = message;
        tracing::warn!(tenant = tenant.as_str(), %endpoint, %event, "the address of an endpoint was refused");
        tally = tally.plus(&Tally::once("ssrf_refused"));
    }
    if message.n == 1 && message.run == Run::Original && !attempt.spends_no_attempt() {
        let waited_ms = attempt.at.millis_since(message.event.accepted_at());
        tally = tally.plus(&Tally::first_attempt(&message.tenant, waited_ms));
    }
    tally
}

fn log(Attempt { message, answer, verdict, duration_ms, .. }: &Attempt) {
    let next_at = match verdict {
        Verdict::RetryAt(at) | Verdict::PutOff(at) => Some(at.to_string()),
        Verdict::Delivered | Verdict::GiveUp | Verdict::DisableEndpoint => None,
    };
    tracing::debug!(
        step = "attempt",
        event = %message.event,
        trace = message.trace.map(display),
        endpoint = %message.endpoint,
        n = message.n,
        verdict = verdict.kind().as_str(),
        %answer,
        duration_ms,
        next_at,
    );
}
