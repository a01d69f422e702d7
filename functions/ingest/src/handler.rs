//! The steps of accepting one event, in the only order that loses nothing:
//! authenticate, take a token, validate, claim, send, 202.

use domain::event::claim::{Claim, ClaimName, Claimed, DedupId, Fingerprint};
use domain::event::id::EventId;
use domain::event::{Event, NewEvent};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::{KeyRecord, Scope};
use domain::tenant::rate_limit::RateLimitStatus;
use domain::timestamp::Timestamp;
use futures_util::future::join;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::answer::Answer;
use runtime::request::idempotency_key;
use runtime::telemetry::Log;
use serde_json::json;
use store::authentication::{Authenticator, require};
use store::claims::Claims;
use store::clock::Clock;
use store::control::Control;
use store::limiter::Limiter;
use store::limits::Limits;
use store::ports::Ports;
use store::queues::EventsQueue;

use crate::backpressure::Backpressure;
use crate::config::Config;
use crate::intake::{Form, Single};
use crate::invocation::Invocation;

/// What ingest touches; its IAM policy says the same.
pub struct Ingest<P: Ports> {
    pub(crate) authenticator: Authenticator<P::Table>,
    pub(crate) limiter: Limiter<P::Table>,
    pub(crate) claims: Claims<P::Table>,
    pub(crate) queue: EventsQueue<P::Queue>,
    pub(crate) backpressure: Backpressure<P::Table>,
    pub(crate) clock: P::Clock,
    /// Writes the one log line of each invocation.
    pub(crate) log: Log,
}

impl<P: Ports> Ingest<P> {
    /// Returns the function over these ports.
    pub fn new(ports: &P, config: Config, log: Log) -> Self {
        let control = Control::new(ports.table(&config.control_table));
        let limits = Limits::new(ports.table(&config.limits_table));
        Self {
            authenticator: Authenticator::new(control, config.peppers),
            limiter: Limiter::new(limits.clone()),
            claims: Claims::new(ports.table(&config.claims_table)),
            queue: EventsQueue::new(ports.queue(&config.events_queue)),
            backpressure: Backpressure::new(limits, config.shed_after),
            clock: ports.clock(),
            log,
        }
    }
}

/// An event that may be sent, and what it repeats.
pub(crate) struct Claimable {
    pub(crate) event: Event,
    pub(crate) repeats: Duplicate,
}

/// Whether this is something we had before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Duplicate {
    /// It is new.
    Nothing,
    /// An event of the same `dedup_id`: the client is told.
    Event,
    /// A request of the same `Idempotency-Key`: the client gets the first answer again.
    Request,
}

impl<P: Ports> Ingest<P> {
    /// Answers one request. Every failure becomes a response.
    pub async fn handle(&self, path: &str, headers: &HeaderMap, body: &[u8], request_id: &str) -> Answer {
        let path = path.trim_end_matches('/'); // the gateway hands on "/api/events/" as it is
        let mut invocation = Invocation::new(self.clock.now());
        let result = self.answer(path, headers, body, &mut invocation).await;
        let mut answer = result.unwrap_or_else(|problem| {
            log_cause(&problem);
            invocation.refused(&problem);
            answer::problem(&problem, request_id)
        });
        answer::add_header(&mut answer, "x-request-id", request_id);
        for (name, value) in invocation.standing.iter().flat_map(RateLimitStatus::headers) {
            answer::add_header(&mut answer, name, &value);
        }
        invocation.looked_up(self.authenticator.lookups(), self.limiter.uncounted());
        (self.log)(&invocation.line(path, answer.status().as_u16(), request_id, self.clock.now()));
        answer
    }

    async fn answer(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
        invocation: &mut Invocation,
    ) -> Result<Answer, Problem> {
        let (_, bearer) = self.authenticator.bearer(headers, invocation.now).await?;
        invocation.standing = Some(self.limiter.events_status(&bearer, invocation.now));
        require(Scope::EventsWrite, &bearer)?;
        self.admit(&bearer, invocation).await?; // what turns out to be no event costs a token too
        match Form::of(path, headers)? {
            Form::One(form) => self.accept(&bearer, form, headers, body, invocation).await,
            Form::Batch(form) => self.accept_batch(&bearer, form, headers, body, invocation).await,
        }
    }

    /// Takes the token of one event, and looks whether events are accepted at all.
    async fn admit(&self, bearer: &KeyRecord, invocation: &mut Invocation) -> Result<(), Problem> {
        let now = invocation.now;
        let tokens = self.limiter.take_events(bearer, 1, now);
        let ((granted, standing), ()) = join(tokens, self.backpressure.look(bearer, now)).await;
        invocation.standing = Some(standing);
        if granted == 0 {
            return Err(standing.to_problem("events"));
        }
        self.backpressure.admit(bearer, now)
    }

    /// Accepts one event: durable in the queue first, 202 second, never the other way round.
    async fn accept(
        &self,
        bearer: &KeyRecord,
        form: Single,
        headers: &HeaderMap,
        body: &[u8],
        invocation: &mut Invocation,
    ) -> Result<Answer, Problem> {
        let event = form.read(headers, body)?;
        let name = claim_name(&event, idempotency_key(headers)?);
        let claimed = self.claim(bearer, event, name, invocation.now).await?;
        // A repeat is sent again: its claim does not prove that it ever was.
        let sent = self.send(std::slice::from_ref(&claimed.event), invocation).await;
        sent.into_iter().next().unwrap_or_else(|| Err(unconfirmed()))?;
        invocation.accepted(&claimed);
        Ok(answer_to(&claimed))
    }

    /// Sends events; one result each, in order.
    pub(crate) async fn send(
        &self,
        events: &[Event],
        invocation: &mut Invocation,
    ) -> Vec<Result<(), Problem>> {
        let began = self.clock.now();
        let sent = self.queue.send(events).await;
        invocation.queued(self.clock.now().millis_since(began));
        if sent.iter().any(Result::is_ok) {
            self.backpressure.sent(invocation.now);
        }
        sent.into_iter().map(|sent| sent.map_err(Problem::from)).collect()
    }

    /// Claims the event's name, if it has one; a repeat carries the first event's id.
    ///
    /// # Errors
    /// 422 where the name stands for an event of other content; 503 when the table does not answer.
    pub(crate) async fn claim(
        &self,
        bearer: &KeyRecord,
        event: NewEvent,
        name: Option<ClaimName>,
        now: Timestamp,
    ) -> Result<Claimable, Problem> {
        let fresh = EventId::generate(now, bearer.spread.write_at(now), &mut rand::rng());
        let Some(name) = name else {
            let event = event.into_event(fresh, bearer.tenant.clone(), bearer.tier);
            return Ok(Claimable { event, repeats: Duplicate::Nothing });
        };
        let claim = Claim::new(fresh, Fingerprint::of(&event.event_type, &event.payload), now);
        let (id, repeats) = match self.claims.claim(&bearer.tenant, &name, &claim, now).await? {
            Claimed::First => (fresh, Duplicate::Nothing),
            Claimed::Repeat(first) if name.is_of_event() => (first, Duplicate::Event),
            Claimed::Repeat(first) => (first, Duplicate::Request),
            Claimed::Mismatch => return Err(mismatch()),
        };
        Ok(Claimable { event: event.into_event(id, bearer.tenant.clone(), bearer.tier), repeats })
    }
}

/// The name under which an event is claimed: its own, or else that of its request.
fn claim_name(event: &NewEvent, idempotency_key: Option<DedupId>) -> Option<ClaimName> {
    event.name.clone().or_else(|| idempotency_key.map(ClaimName::Idempotency))
}

/// Logs what failed inside, where something did.
fn log_cause(problem: &Problem) {
    if let Some(cause) = &problem.cause {
        tracing::error!(cause, "a service that the API needs did not answer");
    }
}

/// An event of which the queue said nothing.
pub(crate) fn unconfirmed() -> Problem {
    Problem::new(Kind::Unavailable, "the queue did not confirm this event; please send it again")
}

fn mismatch() -> Problem {
    let detail = "this name was used within 24 hours for an event with another type or payload";
    Problem::new(Kind::IdempotencyMismatch, detail)
}

fn answer_to(claimed: &Claimable) -> Answer {
    let id = claimed.event.id;
    let accepted_at = id.accepted_at().to_string();
    if claimed.repeats == Duplicate::Event {
        let detail = "an event of this name was accepted before, under this id";
        let body = json!({"id": id.to_string(), "status": "duplicate", "accepted_at": accepted_at,
            "detail": detail, "error": detail});
        return answer::json(StatusCode::CONFLICT, &body);
    }
    let body = json!({"id": id.to_string(), "status": "accepted", "accepted_at": accepted_at});
    let mut answer = answer::json(StatusCode::ACCEPTED, &body);
    if claimed.repeats == Duplicate::Request {
        answer::mark_replayed(&mut answer);
    }
    answer
}
