//! Accepts many events in one request. Each event takes the steps of a single event and has its own result, in order. An
//! invalid item does not affect the others.

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

use crate::claimed_event::{ClaimedEvent, Duplicate};
use crate::handler::{Ingest, unconfirmed};
use crate::intake::Batch;
use crate::invocation::Invocation;

/// The largest number of claims at the same time. Each uses a connection of its own.
const CONCURRENT_CLAIMS: usize = 32;

/// No claim starts later than this after the request. A claim and the sending can take 3 s each, and the function has
/// 20 s: without this limit, 500 claims would take longer if the table answers slowly.
const LAST_CLAIM_AFTER: Duration = Duration::from_secs(5);

impl<P: Ports> Ingest<P> {
    /// Accepts a batch. An item without a token gets a 429 of its own.
    pub(crate) async fn accept_batch(
        &self,
        bearer: &KeyRecord,
        form: Batch,
        headers: &HeaderMap,
        body: &[u8],
        invocation: &mut Invocation,
    ) -> Result<Answer, Problem> {
        let now = invocation.now;
        let items = form.items(body)?;
        let request_key = idempotency_key(headers)?;

        // 1. Take the tokens. The token of the first item was taken when the request was admitted.
        let others = u32::try_from(items.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let (granted, rate_limit) = self.limiter.take_events(bearer, others, now).await;
        invocation.rate_limit = Some(rate_limit);

        // 2. Claim each item that has a token.
        let mut claims = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let item_key = request_key.clone().map(|key| ClaimName::IdempotencyItem(key, index));
            let has_token = u32::try_from(index).is_ok_and(|index| index <= granted);
            claims.push(async move {
                if !has_token {
                    return Err(rate_limit.to_problem("events"));
                }
                self.claim_item(bearer, form.read(item)?, item_key, now).await
            });
        }
        let claimed = stream::iter(claims).buffered(CONCURRENT_CLAIMS).collect().await;

        // 3. Send the claimed events, and answer with one result per item.
        let results = self.send_claimed(claimed, invocation).await;
        invocation.count_results(&results);
        Ok(answer_for(&results))
    }

    async fn claim_item(
        &self,
        bearer: &KeyRecord,
        event: NewEvent,
        item_key: Option<ClaimName>,
        now: Timestamp,
    ) -> Result<ClaimedEvent, Problem> {
        let name = event.name.clone().or(item_key);
        let is_late = self.clock.now().since(now) > LAST_CLAIM_AFTER;
        if is_late && name.is_some() {
            let detail =
                "the time of this request ended before this event was accepted; send the event again";
            return Err(Problem::new(Kind::Unavailable, detail));
        }
        self.claim(bearer, event, name, now).await
    }

    /// Sends the claimed events in as few calls as the queue allows. An event that the queue did not confirm becomes a
    /// problem of its own.
    async fn send_claimed(
        &self,
        claimed: Vec<Result<ClaimedEvent, Problem>>,
        invocation: &mut Invocation,
    ) -> Vec<Result<ClaimedEvent, Problem>> {
        let events: Vec<_> = claimed.iter().flatten().map(|claimed| claimed.event.clone()).collect();
        let mut sent = self.send(&events, invocation).await.into_iter();
        let mut results = Vec::with_capacity(claimed.len());
        for item in claimed {
            results.push(match item {
                Ok(claimed) => sent.next().unwrap_or_else(|| Err(unconfirmed())).map(|()| claimed),
                Err(problem) => Err(problem),
            });
        }
        results
    }
}

fn answer_for(results: &[Result<ClaimedEvent, Problem>]) -> Answer {
    let count = |kind| results.iter().flatten().filter(|claimed| claimed.duplicate == kind).count();
    let replayed = count(Duplicate::OfRequest);
    let accepted = count(Duplicate::No) + replayed;
    let problems: Vec<&Problem> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let entries: Vec<Value> =
        results.iter().enumerate().map(|(index, result)| entry(index, result)).collect();

    let status = if accepted == results.len() { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    let body = json!({"accepted": accepted, "duplicate": count(Duplicate::OfEvent), "rejected": problems.len(),
        "results": entries});
    let mut answer = answer::json(status, &body);
    if let Some(seconds) = problems.iter().filter_map(|problem| problem.retry_after).max() {
        answer::retry_after(&mut answer, seconds);
    }
    if replayed > 0 {
        answer::mark_replayed(&mut answer);
    }
    answer
}

/// Returns the entry of one item in `results`.
fn entry(index: usize, result: &Result<ClaimedEvent, Problem>) -> Value {
    match result {
        Ok(claimed) => {
            let is_duplicate = claimed.duplicate == Duplicate::OfEvent;
            let status = if is_duplicate { "duplicate" } else { "accepted" };
            json!({"index": index, "id": claimed.event.id.to_string(), "status": status})
        }
        Err(problem) => {
            json!({"index": index, "status": "rejected", "error": problem.to_json(&format!("#{index}"))})
        }
    }
}
