//! Accepting many events in one request: the steps of one event for each, with one answer for each, in order.
//! A bad item harms none of its neighbours.

use std::time::Duration;

use domain::event::NewEvent;
use domain::event::claim::ClaimName;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::timestamp::Timestamp;
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::answer::Answer;
use runtime::request::idempotency_key;
use serde_json::{Value, json};
use store::clock::Clock;
use store::ports::Ports;

use crate::handler::{Claimable, Duplicate, Ingest, unconfirmed};
use crate::intake::Batch;
use crate::invocation::Invocation;

/// Claims under way at once: each has a connection of its own.
const CONCURRENT_CLAIMS: usize = 32;

/// When the last claim begins, counted from the request. It and the sending may take 3 s each, the function has 20 s,
/// and 500 claims of a table that hangs would take longer.
const LAST_CLAIM_AFTER: Duration = Duration::from_secs(5);

impl<P: Ports> Ingest<P> {
    /// Accepts a batch; an item beyond the remaining tokens is refused with 429, its neighbours are not.
    pub(crate) async fn accept_batch(
        &self,
        bearer: &KeyRecord,
        form: Batch,
        headers: &HeaderMap,
        body: &[u8],
        invocation: &mut Invocation,
    ) -> Result<Answer, Problem> {
        let now = invocation.now;
        let raw_items = form.items(body)?;
        let request_name = idempotency_key(headers)?;
        let further = u32::try_from(raw_items.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let (granted, stands) = // the first one's token was taken with the request
            self.limiter.take_events(bearer, further, now).await;
        invocation.standing = Some(stands);
        let items = raw_items.iter().enumerate().map(|(index, raw)| {
            let name = request_name.clone().map(|key| ClaimName::IdempotencyItem(key, index));
            let allowed = u32::try_from(index).is_ok_and(|index| index <= granted);
            async move {
                if !allowed {
                    return Err(stands.to_problem("events"));
                }
                self.claim_item(bearer, form.read(raw)?, name, now).await
            }
        });
        let items: Vec<_> = items.collect();
        let claimed = stream::iter(items).buffered(CONCURRENT_CLAIMS).collect().await;
        let results = self.send_claimed(claimed, invocation).await;
        for result in &results {
            match result {
                Ok(item) => invocation.accepted(item),
                Err(problem) => invocation.refused(problem),
            }
        }
        Ok(answer_to(&results))
    }

    async fn claim_item(
        &self,
        bearer: &KeyRecord,
        event: NewEvent,
        request_name: Option<ClaimName>,
        now: Timestamp,
    ) -> Result<Claimable, Problem> {
        let name = event.name.clone().or(request_name);
        let late = self.clock.now().since(now) > LAST_CLAIM_AFTER;
        if late && name.is_some() {
            let detail = "there was no time left for this event; please send it again";
            return Err(Problem::new(Kind::Unavailable, detail));
        }
        self.claim(bearer, event, name, now).await
    }

    /// Sends what was claimed in as few calls as the queue allows, and blames a failure on its own item alone.
    async fn send_claimed(
        &self,
        claimed: Vec<Result<Claimable, Problem>>,
        invocation: &mut Invocation,
    ) -> Vec<Result<Claimable, Problem>> {
        let events: Vec<_> = claimed.iter().flatten().map(|claimed| claimed.event.clone()).collect();
        let mut sent = self.send(&events, invocation).await.into_iter();
        let mut confirm = |item| sent.next().unwrap_or_else(|| Err(unconfirmed())).map(|()| item);
        claimed.into_iter().map(|item| item.and_then(&mut confirm)).collect()
    }
}

fn answer_to(results: &[Result<Claimable, Problem>]) -> Answer {
    let count = |repeats| results.iter().flatten().filter(|item| item.repeats == repeats).count();
    let (replayed, duplicate) = (count(Duplicate::Request), count(Duplicate::Event));
    let accepted = count(Duplicate::Nothing) + replayed;
    let refused: Vec<&Problem> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let status = if accepted == results.len() { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    let results: Vec<Value> = results.iter().enumerate().map(result_of).collect();
    let body =
        json!({"accepted": accepted, "duplicate": duplicate, "rejected": refused.len(), "results": results});
    let mut answer = answer::json(status, &body);
    let waits = refused.iter().filter_map(|problem| problem.retry_after);
    if let Some(seconds) = waits.max() {
        answer::retry_after(&mut answer, seconds);
    }
    if replayed > 0 {
        answer::mark_replayed(&mut answer);
    }
    answer
}

fn result_of((index, result): (usize, &Result<Claimable, Problem>)) -> Value {
    match result {
        Ok(item) => {
            let status = if item.repeats == Duplicate::Event { "duplicate" } else { "accepted" };
            json!({"index": index, "id": item.event.id.to_string(), "status": status})
        }
        Err(problem) => {
            json!({"index": index, "status": "rejected", "error": problem.to_json(&format!("#{index}"))})
        }
    }
}
