//! The attempts at one endpoint, by time, and a tenant's most recent events.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;

use crate::adapters::events::page::{event_of, is_attempt};
use crate::adapters::events::{EventsTable, head_item};
use crate::adapters::item::{Item, Unreadable, item, n, number, s, text};
use crate::keys;
use crate::ports::events::{Events, Found};
use crate::unavailable::{PortResult, Unavailable};
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// Items of one shard that one query looks at for recent events, attempts among them.
const LOOKED_AT: i32 = 200;

/// Queries of one shard for recent events.
const MAX_QUERIES: usize = 5;

/// An attempt as it was logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoggedAttempt {
    /// Which event.
    pub event: EventId,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// In which run: 0 is the original, a replay's is its id.
    pub generation: String,
    /// Which attempt, counted from 1.
    pub n: u64,
    /// Whether it was made to see if the endpoint is back.
    pub is_probe: bool,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The HTTP status, if there was an answer.
    pub code: Option<u64>,
    /// What it means.
    pub verdict: String,
    /// Why there was no answer.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub answer: Option<String>,
}

/// A page of attempts, and where the next one goes on.
#[derive(Debug)]
pub struct AttemptPage {
    /// The newest first.
    pub attempts: Vec<LoggedAttempt>,
    /// The place after the last; `None` where there is nothing more.
    pub next: Option<String>,
}

impl EventsTable {
    /// A page of the attempts at an endpoint, the newest first, after the place that the page before told.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn attempts(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<AttemptPage> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("attempts")
            .key_condition_expression("attempts_pk = :pk")
            .expression_attribute_values(":pk", s(keys::attempts(tenant, endpoint)))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.and_then(|place| start(tenant, endpoint, place)));
        let answer = query.send().await.map_err(|error| Unavailable::new("reading attempts", error))?;
        let attempts: Result<Vec<_>, Unreadable> = answer.items().iter().map(read).collect();
        let attempts = attempts.map_err(|error| Unavailable::new("reading attempts", error))?;
        let next = answer
            .last_evaluated_key()
            .and_then(|key| Some(format!("{} {}", number(key, "attempted_at").ok()?, text(key, "sk").ok()?)));
        Ok(AttemptPage { attempts, next })
    }

    /// A tenant's most recent events that are wanted, the newest first, with their payloads. Only so many are looked at.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn recent(
        &self,
        tenant: &TenantId,
        shards: u8,
        wanted: impl Fn(&Head) -> bool,
        most: usize,
    ) -> PortResult<Vec<(Head, String)>> {
        let shards = (0..shards).map(|shard| self.recent_heads(tenant, shard, &wanted, most));
        let mut found: Vec<Found> = try_join_all(shards).await?.into_iter().flatten().collect();
        found.sort_by_key(|found| std::cmp::Reverse(found.head.id));
        found.truncate(most);
        let payloads = try_join_all(found.iter().map(|found| self.payload(tenant, found))).await?;
        let with = |(found, payload): (Found, Option<String>)| Some((found.head, payload?));
        Ok(found.into_iter().zip(payloads).filter_map(with).collect())
    }

    /// The newest wanted heads of one shard, about so many as are asked for.
    async fn recent_heads(
        &self,
        tenant: &TenantId,
        shard: u8,
        wanted: &impl Fn(&Head) -> bool,
        most: usize,
    ) -> PortResult<Vec<Found>> {
        let (mut recent, mut start) = (Vec::new(), None::<Item>);
        for _ in 0..MAX_QUERIES {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .filter_expression("attribute_exists(deliveries)")
                .expression_attribute_values(":pk", s(keys::shard(tenant, shard)))
                .scan_index_forward(false)
                .limit(LOOKED_AT)
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| Unavailable::new("reading events", error))?;
            let found: Result<Vec<Found>, Unreadable> = answer.items().iter().map(head_item::found).collect();
            let found = found.map_err(|error| Unavailable::new("reading events", error))?;
            recent.extend(found.into_iter().filter(|found| wanted(&found.head)));
            start = answer.last_evaluated_key.map(behind_attempts);
            if start.is_none() || recent.len() >= most {
                break;
            }
        }
        Ok(recent)
    }
}

/// Where to go on, backwards, from this key: from one among the attempts of an event at its head, which comes after them.
fn behind_attempts(mut key: Item) -> Item {
    if let Some(event) = event_of(&key).filter(|_| is_attempt(&key)) {
        key.insert("sk".to_owned(), s(keys::attempts_of(event)));
    }
    key
}

/// The key after which the index goes on.
fn start(tenant: &TenantId, endpoint: &EndpointId, place: &str) -> Option<HashMap<String, AttributeValue>> {
    let (at, sk) = place.split_once(' ')?;
    let event = EventId::parse(sk.split('#').next()?)?;
    Some(item([
        ("pk", s(keys::shard(tenant, event.shard()))),
        ("sk", s(sk)),
        ("attempts_pk", s(keys::attempts(tenant, endpoint))),
        ("attempted_at", n(at.parse().ok()?)),
    ]))
}

pub(super) fn read(item: &Item) -> Result<LoggedAttempt, Unreadable> {
    let mut key = text(item, "sk")?.split('#');
    let event = key.next().and_then(EventId::parse).ok_or(Unreadable("sk"))?;
    let endpoint = key.next().map(EndpointId::from_stored).ok_or(Unreadable("sk"))?;
    let optional = |name| text(item, name).ok().map(str::to_owned);
    Ok(LoggedAttempt {
        event,
        endpoint,
        generation: text(item, "generation")?.to_owned(),
        n: number(item, "n")?,
        is_probe: item.contains_key("probe"),
        at: Timestamp::from_millis(number(item, "attempted_at")?),
        duration_ms: number(item, "duration_ms")?,
        code: number(item, "code").ok(),
        verdict: text(item, "verdict")?.to_owned(),
        error: optional("error"),
        answer: optional("answer"),
    })
}
