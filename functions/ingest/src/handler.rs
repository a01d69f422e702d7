//! Handles one request. The order of the steps makes sure that no accepted event is lost: refuse our own webhook,
//! authenticate, take a token, validate, claim, send, answer 202.

use std::slice;

use domain::event::Event;
use domain::event::claim_name::ClaimName;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::{KeyRecord, Scope};
use domain::tenant::rate_limit::RateLimitStatus;
use domain::trace;
use domain::trace::Trace;
use futures_util::future::join;
use http::{HeaderMap, Response, StatusCode};
use lambda_http::{Body, Request, RequestExt};
use runtime::answer;
use runtime::answer::Answer;
use runtime::request::{idempotency_key, refuse_own_webhook, require_no_query};
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
use crate::claimed_event::{ClaimedEvent, Duplicate};
use crate::config::Config;
use crate::intake::{BATCH, Form, Single};
use crate::invocation::Invocation;

/// The function and all that it uses. Its IAM policy allows no more.
pub struct Ingest<P: Ports> {
    pub(crate) authenticator: Authenticator<P::Table>,
    pub(crate) limiter: Limiter<P::Table>,
    pub(crate) claims: Claims<P::Table>,
    pub(crate) queue: EventsQueue<P::Queue>,
    pub(crate) backpressure: Backpressure<P::Table>,
    pub(crate) clock: P::Clock,
    /// Writes the log line of each invocation.
    pub(crate) log: Log,
}

impl<P: Ports> Ingest<P> {
    /// Makes the function over these ports.
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

    /// Answers one request of API Gateway.
    pub async fn handle_request(&self, request: Request) -> Response<Body> {
        let request_id = request.lambda_context().request_id;
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", request.raw_http_path());
        let answer = Box::pin(self.handle(&target, request.headers(), request.body().as_ref(), &request_id));
        answer.await.map(Body::from)
    }

    /// Answers one request. `target` is its path, with its query if it has one. Every failure becomes an answer.
    pub async fn handle(&self, target: &str, headers: &HeaderMap, body: &[u8], request_id: &str) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.trim_end_matches('/'); // API Gateway passes "/api/events/" on unchanged
        let trace = headers.get(trace::HEADER).and_then(|value| Trace::parse(value.to_str().ok()?));
        let mut invocation = Invocation::new(self.clock.now(), trace);
        let result = self.answer((path, query), headers, body, &mut invocation).await;
        let mut answer = result.unwrap_or_else(|problem| {
            log_cause(&problem);
            invocation.count_rejected(&problem);
            answer::problem(&problem, request_id)
        });
        answer::add_header(&mut answer, "x-request-id", request_id);
        answer::protect(answer.headers_mut());
        for (name, value) in invocation.rate_limit.iter().flat_map(RateLimitStatus::headers) {
            answer::add_header(&mut answer, name, &value);
        }
        invocation.count_lookups(self.authenticator.lookups(), self.limiter.uncounted());
        let route = if path == BATCH { "POST /api/events/batch" } else { "POST /api/events" };
        let ended = self.clock.now();
        self.log.write(invocation.into_metrics(route, answer.status().as_u16(), request_id, ended), ended);
        answer
    }

    async fn answer(
        &self,
        (path, query): (&str, &str),
        headers: &HeaderMap,
        body: &[u8],
        invocation: &mut Invocation,
    ) -> Result<Answer, Problem> {
        refuse_own_webhook(headers)?;
        let (_, bearer) = self.authenticator.bearer(headers, invocation.now).await?;
        invocation.set_caller(&bearer);
        invocation.rate_limit = Some(self.limiter.events_status(&bearer, invocation.now));
        require(Scope::EventsWrite, &bearer)?;
        if bearer.is_suspended {
            return Err(Problem::suspended());
        }
        self.admit(&bearer, invocation).await?; // an invalid event uses a token too
        require_no_query(query)?;
        let form = Form::of(path, headers)?;
        let body = form.decode(headers, body)?;
        match form {
            Form::One(form) => self.accept(&bearer, form, headers, &body, invocation).await,
            Form::Batch(form) => self.accept_batch(&bearer, form, headers, &body, invocation).await,
        }
    }

    /// Takes the token of one event, and checks the backpressure.
    async fn admit(&self, bearer: &KeyRecord, invocation: &mut Invocation) -> Result<(), Problem> {
        let now = invocation.now;
        let take_token = self.limiter.take_events(bearer, 1, now);
        let refresh = self.backpressure.refresh(bearer, now);
        let ((granted, rate_limit), ()) = join(take_token, refresh).await;
        invocation.rate_limit = Some(rate_limit);
        if granted == 0 {
            return Err(rate_limit.to_problem("events", &mut rand::rng()));
        }
        self.backpressure.check(bearer, now)
    }

    /// Accepts one event. The queue confirms the event before the 202 is sent.
    async fn accept(
        &self,
        bearer: &KeyRecord,
        form: Single,
        headers: &HeaderMap,
        body: &[u8],
        invocation: &mut Invocation,
    ) -> Result<Answer, Problem> {
        let event = form.read(headers, body)?;
        let key = idempotency_key(headers)?.map(ClaimName::Idempotency);
        let claimed = self.claim(bearer, event, key, invocation).await?;
        // A duplicate is sent again: the claim of the first event does not prove that it was sent.
        let results = self.send(slice::from_ref(&claimed.event), invocation).await;
        let sent = results.into_iter().next().unwrap_or_else(|| Err(unconfirmed()));
        self.mark_sent(&claimed, sent.is_ok()).await;
        sent?;
        invocation.count_accepted(&claimed);
        Ok(answer_for(&claimed))
    }

    /// Sends events to the queue. Returns one result for each, in order.
    pub(crate) async fn send(
        &self,
        events: &[Event],
        invocation: &mut Invocation,
    ) -> Vec<Result<(), Problem>> {
        let began = self.clock.now();
        let results = self.queue.send(events).await;
        invocation.set_queue_ms(self.clock.now().millis_since(began));
        if results.iter().any(Result::is_ok) {
            self.backpressure.record_send(invocation.now);
        }
        results.into_iter().map(|result| result.map_err(Problem::from)).collect()
    }
}

/// Logs the internal cause of a problem, if it has one.
fn log_cause(problem: &Problem) {
    if let Some(cause) = &problem.cause {
        tracing::error!(cause, "an AWS service did not answer");
    }
}

/// Makes the 503 for an event that the queue did not confirm.
pub(crate) fn unconfirmed() -> Problem {
    Problem::new(Kind::Unavailable, "the queue did not confirm this event; send it again")
}

fn answer_for(claimed: &ClaimedEvent) -> Answer {
    let id = claimed.event.id.to_string();
    let accepted_at = claimed.event.id.accepted_at().to_string();
    let detail =
        "Duplicate event detected: an event with this name was accepted before, under the id in `id`";
    let (status, body) = match claimed.duplicate {
        Duplicate::No | Duplicate::OfRequest => {
            (StatusCode::ACCEPTED, json!({"id": id, "status": "accepted", "accepted_at": accepted_at}))
        }
        Duplicate::OfCloudEvent => {
            (StatusCode::ACCEPTED, json!({"id": id, "status": "duplicate", "accepted_at": accepted_at}))
        }
        Duplicate::OfEvent => (
            StatusCode::CONFLICT,
            json!({"id": id, "status": "duplicate", "accepted_at": accepted_at, "detail": detail, "error": detail}),
        ),
    };
    let mut answer = answer::json(status, &body);
    if matches!(claimed.duplicate, Duplicate::OfRequest | Duplicate::OfCloudEvent) {
        answer::mark_replayed(&mut answer);
    }
    answer
}
