//! Accepts many events in one request. Each event takes the steps of a single event and has its own result, in order. An
//! invalid item does not affect the others.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::event::NewEvent;
use domain::event::claim_name::{ClaimName, DedupId};
use domain::event::fingerprint::Fingerprint;
use domain::event::id::EventId;
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

/// No claim is marked as unconfirmed later than this after the request. The last marks can take 3 s more.
const LAST_MARK_AFTER: Duration = Duration::from_secs(14);

/// A valid item of a batch, before it is claimed.
struct Candidate {
    index: usize,
    event: NewEvent,
    /// The name that the batch's `Idempotency-Key` gives to the item.
    key: Option<ClaimName>,
}

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
        let items = form.items(body)?;
        let request_key = idempotency_key(headers)?;

        // 1. Take the tokens. The token of the first item was taken when the request was admitted.
        let others = u32::try_from(items.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let (granted, rate_limit) = self.limiter.take_events(bearer, others, invocation.now).await;
        invocation.rate_limit = Some(rate_limit);

        // 2. Read each item that has a token.
        let has_token = |index| u32::try_from(index).is_ok_and(|index| index <= granted);
        let events = items.into_iter().enumerate().map(|(index, item)| {
            if has_token(index) {
                Ok(form.read(item)?)
            } else {
                Err(rate_limit.to_problem("events", &mut rand::rng()))
            }
        });
        let (chains, mut results) = chains_of(events, request_key.as_ref());

        // 3. Claim the valid items.
        let request: &Invocation = invocation;
        let claims = chains.into_iter().map(|chain| self.claim_chain(bearer, chain, request));
        let claimed = stream::iter(claims).buffer_unordered(CONCURRENT_CLAIMS).collect::<Vec<_>>().await;
        results.extend(claimed.into_iter().flatten());
        results.sort_by_key(|(index, _)| *index);

        // 4. Send the claimed events, and answer with one result per item.
        let claimed = results.into_iter().map(|(_, result)| result).collect();
        let results = self.send_claimed(claimed, invocation).await;
        invocation.count_results(&results);
        Ok(answer_for(&results))
    }

    /// Claims items of one name one after the other, so that the first of them wins. If it is not known whether an item
    /// was claimed, no later one may take its place.
    async fn claim_chain(
        &self,
        bearer: &KeyRecord,
        chain: Vec<Candidate>,
        request: &Invocation,
    ) -> Vec<(usize, Result<ClaimedEvent, Problem>)> {
        let mut results = Vec::with_capacity(chain.len());
        let mut unavailable: Option<Problem> = None;
        for Candidate { index, event, key } in chain {
            let is_named = key.is_some() || event.name.is_some();
            let is_late = is_named && self.clock.now().since(request.now) > LAST_CLAIM_AFTER;
            let result = match unavailable.clone().or_else(|| is_late.then(late)) {
                Some(problem) => Err(problem),
                None => self.claim(bearer, event, key, request).await,
            };
            unavailable = result.as_ref().err().filter(|problem| problem.kind == Kind::Unavailable).cloned();
            results.push((index, result));
        }
        results
    }

    /// Sends the claimed events in as few calls as the queue allows, each id once. An event that the queue did not confirm
    /// becomes a problem of its own.
    async fn send_claimed(
        &self,
        claimed: Vec<Result<ClaimedEvent, Problem>>,
        invocation: &mut Invocation,
    ) -> Vec<Result<ClaimedEvent, Problem>> {
        // 1. Send the first item of each id. The others repeat it, with a payload that may be spelled otherwise.
        let mut places: HashMap<EventId, usize> = HashMap::new();
        let mut events = Vec::with_capacity(claimed.len());
        for item in claimed.iter().flatten() {
            places.entry(item.event.id).or_insert_with(|| {
                events.push(item.event.clone());
                events.len() - 1
            });
        }
        let sent = self.send(&events, invocation).await;

        // 2. Mark the claims of those that failed.
        let result_of = |claimed: &ClaimedEvent| {
            let place = places.get(&claimed.event.id);
            place.and_then(|place| sent.get(*place).cloned()).unwrap_or_else(|| Err(unconfirmed()))
        };
        let mut marks = Vec::new();
        for item in claimed.iter().flatten() {
            marks.push(self.mark_in_time(item, result_of(item).is_ok(), invocation.now));
        }
        stream::iter(marks).buffer_unordered(CONCURRENT_CLAIMS).collect::<()>().await;
        let mut known = HashSet::new();
        let mut result = |item: ClaimedEvent| {
            result_of(&item)?;
            let is_repeat = !known.insert(item.event.id);
            Ok(if is_repeat { item.into_repeat() } else { item })
        };
        claimed.into_iter().map(|item| item.and_then(&mut result)).collect()
    }

    /// Marks the claims of an item after its sending, unless the time of the request is nearly over.
    async fn mark_in_time(&self, item: &ClaimedEvent, is_sent: bool, began: Timestamp) {
        if self.clock.now().since(began) <= LAST_MARK_AFTER {
            self.mark_sent(item, is_sent).await;
        }
    }
}

/// Groups the valid items of a batch by their own names, each group in order. Returns them and the results of the others.
#[expect(clippy::type_complexity, reason = "each part is named where it is used")]
fn chains_of(
    events: impl Iterator<Item = Result<NewEvent, Problem>>,
    request_key: Option<&DedupId>,
) -> (Vec<Vec<Candidate>>, Vec<(usize, Result<ClaimedEvent, Problem>)>) {
    let (mut chains, mut refused) = (Vec::<Vec<Candidate>>::new(), Vec::new());
    let mut places: HashMap<(&'static str, [u8; 32]), usize> = HashMap::new();
    let mut contents: HashMap<[u8; 32], usize> = HashMap::new();
    for (index, event) in events.enumerate() {
        let event = match event {
            Ok(event) => event,
            Err(problem) => {
                refused.push((index, Err(problem)));
                continue;
            }
        };
        let key = request_key.map(|key| {
            let content = Fingerprint::of_item(&event);
            let before = contents.entry(content).or_default();
            *before += 1;
            ClaimName::IdempotencyItem { key: key.clone(), content, before: *before - 1 }
        });
        let own = event.name.as_ref().map(|name| (name.kind(), name.digest()));
        let place = own.map_or(chains.len(), |own| *places.entry(own).or_insert(chains.len()));
        if place == chains.len() {
            chains.push(Vec::new());
        }
        chains[place].push(Candidate { index, event, key });
    }
    (chains, refused)
}

/// Makes the 503 for an item whose claim would start too late.
fn late() -> Problem {
    let detail = "the time of this request ended before this event was accepted; send the event again";
    Problem::new(Kind::Unavailable, detail)
}

fn answer_for(results: &[Result<ClaimedEvent, Problem>]) -> Answer {
    let count =
        |is: fn(Duplicate) -> bool| results.iter().flatten().filter(|claimed| is(claimed.duplicate)).count();
    let replayed = count(|duplicate| duplicate == Duplicate::OfRequest);
    let duplicates = count(Duplicate::is_of_event);
    let accepted = count(|duplicate| !duplicate.is_of_event());
    let problems: Vec<&Problem> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let entries: Vec<Value> =
        results.iter().enumerate().map(|(index, result)| entry(index, result)).collect();

    let status = if accepted == results.len() { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    let body = json!({"accepted": accepted, "duplicate": duplicates, "rejected": problems.len(),
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
            let status = if claimed.duplicate.is_of_event() { "duplicate" } else { "accepted" };
            json!({"index": index, "id": claimed.event.id.to_string(), "status": status})
        }
        Err(problem) => {
            json!({"index": index, "status": "rejected", "error": problem.to_json(&format!("#{index}"))})
        }
    }
}
