//! The steps of accepting one event, in the only order that loses nothing:
//! authenticate, take a token, validate, claim, send, 202.

use http::{HeaderMap, StatusCode};
use serde_json::json;
use triggers::answer::{self, Answer};
use triggers::api_key::{KeyRecord, Scope};
use triggers::authentication::Authenticator;
use triggers::claim::{Claim, ClaimName, Claimed, DedupId, Fingerprint};
use triggers::event::{Event, EventId, NewEvent};
use triggers::limiter::Limiter;
use triggers::ports::{Claims, Clock, Control, EventQueue, Limits, PortResult, Unavailable};
use triggers::problem::{Kind, Problem};
use triggers::rate_limit::Standing;
use triggers::request::require_json;
use triggers::timestamp::Timestamp;

/// What ingest touches; its IAM policy says the same.
pub struct Ingest<C, L, K, Q, T> {
    /// Knows the bearers of keys.
    pub authenticator: Authenticator<C>,
    /// Grants events by the minute.
    pub limiter: Limiter<L>,
    /// Clients' own names for events.
    pub claims: K,
    /// Where accepted events go.
    pub queue: Q,
    /// The time of day.
    pub clock: T,
}

/// An event that may be sent, and what it repeats.
pub(crate) struct Claimable {
    pub(crate) event: Event,
    pub(crate) repeats: Repeats,
}

/// Whether this is something we had before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeats {
    /// It is new.
    Nothing,
    /// An event of the same `dedup_id`: the client is told.
    Event,
    /// A request of the same `Idempotency-Key`: the client gets the first answer again.
    Request,
}

impl<C: Control, L: Limits, K: Claims, Q: EventQueue, T: Clock> Ingest<C, L, K, Q, T> {
    /// Answers one request. Every failure becomes a response.
    pub async fn handle(&self, path: &str, headers: &HeaderMap, body: &[u8], request_id: &str) -> Answer {
        let now = self.clock.now();
        let path = path.trim_end_matches('/'); // the gateway hands on "/api/events/" as it is
        let mut standing = None;
        let result = match self.authenticator.authenticate(headers, Scope::EventsWrite, now).await {
            Err(problem) => Err(problem),
            Ok((_, bearer)) if path == "/api/events/batch" => {
                self.accept_batch(&bearer, headers, body, now, &mut standing).await
            }
            Ok((_, bearer)) => self.accept(&bearer, headers, body, now, &mut standing).await,
        };
        let mut answer = result.unwrap_or_else(|problem| answer::problem(&problem, request_id));
        answer::add_header(&mut answer, "x-request-id", request_id);
        for (name, value) in standing.iter().flat_map(Standing::headers) {
            answer::add_header(&mut answer, name, &value);
        }
        let milliseconds = self.clock.now().millis_since(now);
        tracing::info!(path, status = answer.status().as_u16(), milliseconds, request_id, "answered");
        answer
    }

    /// Accepts one event: durable in the queue first, 202 second, never the other way round.
    async fn accept(
        &self,
        bearer: &KeyRecord,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        standing: &mut Option<Standing>,
    ) -> Result<Answer, Problem> {
        self.take_token(bearer, now, standing).await?;
        require_json(headers)?;
        let event = NewEvent::parse(body)?;
        let name = claim_name(&event, idempotency_key(headers)?);
        let claimed = self.claim(bearer, event, name, now).await?;
        self.send(&claimed.event).await?; // a repeat too: its claim does not prove that it was sent
        log_accepted(&claimed);
        Ok(answer_to(&claimed))
    }

    /// Takes the token of one event.
    ///
    /// # Errors
    /// 429 where there is none left in this minute.
    pub(crate) async fn take_token(
        &self,
        bearer: &KeyRecord,
        now: Timestamp,
        standing: &mut Option<Standing>,
    ) -> Result<(), Problem> {
        let (taken, stands) = self.limiter.take_events(bearer, 1, now).await;
        *standing = Some(stands);
        if taken == 1 { Ok(()) } else { Err(stands.refusal("events")) }
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
        let fresh = EventId::generate(now, bearer.tier, &mut rand::rng());
        let Some(name) = name else {
            let event = event.into_event(fresh, bearer.tenant.clone(), bearer.tier);
            return Ok(Claimable { event, repeats: Repeats::Nothing });
        };
        let claim = Claim::new(fresh, Fingerprint::of(&event.event_type, &event.payload), now);
        let (id, repeats) = match self.claims.claim(&bearer.tenant, &name, &claim, now).await? {
            Claimed::First => (fresh, Repeats::Nothing),
            Claimed::Repeat(first) if name.is_of_event() => (first, Repeats::Event),
            Claimed::Repeat(first) => (first, Repeats::Request),
            Claimed::Mismatch => return Err(mismatch()),
        };
        Ok(Claimable { event: event.into_event(id, bearer.tenant.clone(), bearer.tier), repeats })
    }

    async fn send(&self, event: &Event) -> PortResult<()> {
        let sent = self.queue.send(std::slice::from_ref(event)).await.pop();
        sent.unwrap_or_else(|| Err(Unavailable::new("sending an event", "the queue said nothing of it")))
    }
}

/// The name under which an event is claimed: its own, or else that of its request.
fn claim_name(event: &NewEvent, idempotency_key: Option<DedupId>) -> Option<ClaimName> {
    event.name.clone().or_else(|| idempotency_key.map(ClaimName::Idempotency))
}

/// The header `Idempotency-Key`.
///
/// # Errors
/// 422 where it breaks the rule of names.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<DedupId>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().and_then(DedupId::parse);
    let detail = "the header Idempotency-Key must be 1 to 255 printable ASCII characters";
    key.map(Some).ok_or_else(|| Problem::new(Kind::Invalid, detail))
}

fn mismatch() -> Problem {
    let detail = "this name was used within 24 hours for an event with another type or payload";
    Problem::new(Kind::IdempotencyMismatch, detail)
}

fn answer_to(claimed: &Claimable) -> Answer {
    let id = claimed.event.id;
    let accepted_at = id.accepted_at().to_string();
    if claimed.repeats == Repeats::Event {
        let detail = "an event with this dedup_id was accepted before, under this id";
        let body = json!({"id": id.to_string(), "status": "duplicate", "accepted_at": accepted_at,
            "detail": detail, "error": detail});
        return answer::json(StatusCode::CONFLICT, &body);
    }
    let body = json!({"id": id.to_string(), "status": "accepted", "accepted_at": accepted_at});
    let mut answer = answer::json(StatusCode::ACCEPTED, &body);
    if claimed.repeats == Repeats::Request {
        mark_replayed(&mut answer);
    }
    answer
}

/// Tells that an earlier answer is given again.
pub(crate) fn mark_replayed(answer: &mut Answer) {
    answer::add_header(answer, "idempotency-replayed", "true");
}

pub(crate) fn log_accepted(Claimable { event, repeats }: &Claimable) {
    tracing::debug!(
        step = "accepted",
        event = %event.id,
        r#type = event.event_type.as_str(),
        tenant = event.tenant.as_str(),
        duplicate = *repeats != Repeats::Nothing,
        bytes = event.payload.len(),
    );
}
