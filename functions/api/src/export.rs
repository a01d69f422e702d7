//! The export of all stored data of a tenant as lines of JSON: first the tenant, its API keys and its endpoints, then
//! each event with its deliveries, followed by its logged attempts. Secrets are left out, because they are not personal
//! data.

use std::fmt;
use std::ops::ControlFlow;

use domain::problem::Problem;
use domain::tenant::api_key::KeyRecord;
use domain::timestamp::Timestamp;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use store::events::budget::ResponseBudget;
use store::events::export::{ExportItem, ExportPage};
use store::events::head_item::Found;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::deps::Api;
use crate::history;
use crate::routes::{attempts, endpoints, inbox, keys};

/// The number of payloads that are read at the same time.
const CONCURRENT_PAYLOADS: usize = 8;

/// The place where a page of an export begins: after this sort key of this shard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    shard: u8,
    after: Option<String>,
}

impl Place {
    /// Reads the displayed form of a place.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (shard, after) = text.split_once(' ')?;
        Some(Self { shard: shard.parse().ok()?, after: (!after.is_empty()).then(|| after.to_owned()) })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.shard, self.after.as_deref().unwrap_or_default())
    }
}

/// A page, and the place where the next page begins.
pub(crate) struct Page {
    pub(crate) lines: String,
    pub(crate) next: Option<Place>,
}

/// The export of one tenant.
pub(crate) struct Export<'a, P: Ports> {
    pub(crate) api: &'a Api<P>,
    pub(crate) bearer: &'a KeyRecord,
    pub(crate) now: Timestamp,
}

impl<P: Ports> Export<'_, P> {
    /// Returns the page that begins at `place`, with at most `limit` events and attempts. The first page also has the
    /// tenant, its API keys and its endpoints.
    pub(crate) async fn page(&self, place: Option<Place>, limit: usize) -> Result<Page, Problem> {
        let mut lines = String::new();
        if place.is_none() {
            lines = self.tenant_lines().await?;
        }
        let mut place = place.unwrap_or(Place { shard: 0, after: None });
        let mut budget = ResponseBudget::default();
        let mut left = limit;
        while place.shard < self.bearer.spread.read() {
            if left == 0 {
                return Ok(Page { lines, next: Some(place) });
            }
            let tenant = &self.bearer.tenant;
            let after = place.after.as_deref();
            let ExportPage { items, scanned, reached } =
                self.api.events.export_page(tenant, place.shard, after, left, self.now).await?;
            left -= scanned.min(left);
            if self.add_lines(items, &mut lines, &mut budget, &mut place).await?.is_break() {
                return Ok(Page { lines, next: Some(place) });
            }
            place = match reached {
                Some(_) => Place { after: reached, ..place },
                None => Place { shard: place.shard + 1, after: None },
            };
        }
        Ok(Page { lines, next: None })
    }

    /// Adds the lines of these items in order, and moves `place` after each. Breaks when the response is full.
    async fn add_lines(
        &self,
        items: Vec<(String, ExportItem)>,
        lines: &mut String,
        budget: &mut ResponseBudget,
        place: &mut Place,
    ) -> PortResult<ControlFlow<()>> {
        let of_items = items.into_iter().map(|(key, item)| async move {
            let line = self.line(&key, item).await?;
            PortResult::Ok((key, line))
        });
        let mut of_items = stream::iter(of_items).buffered(CONCURRENT_PAYLOADS);
        while let Some(result) = of_items.next().await {
            let (key, line) = result?;
            if let Some(line) = line {
                if !budget.takes(&line) {
                    return Ok(ControlFlow::Break(()));
                }
                lines.push_str(&line);
                lines.push('\n');
            }
            place.after = Some(key);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Returns the lines of the tenant, its API keys and its endpoints.
    async fn tenant_lines(&self) -> Result<String, Problem> {
        let control = &self.api.control;
        let id = &self.bearer.tenant;
        let (tenant, records) = control.tenant_with_keys(id).await?.ok_or_else(Problem::not_found)?;
        let mut members = keys::tenant_members(&tenant);
        members["created_at"] = tenant.created_at.to_string().into();
        let mut lines = vec![of_kind("tenant", members)];
        lines.extend(records.iter().map(|record| of_kind("key", keys::to_json(record))));
        for endpoint in control.endpoints(id).await? {
            let members = endpoints::to_json(self.api, id, &endpoint).await?;
            lines.push(of_kind("endpoint", members));
        }
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        Ok(lines.join("\n") + "\n")
    }

    /// Returns the line of an item; `None` for a deleted or expired event. The line of an item that this version cannot
    /// read has only its key.
    async fn line(&self, key: &str, item: ExportItem) -> PortResult<Option<String>> {
        match item {
            ExportItem::Attempt(attempt) => {
                Ok(Some(of_kind("attempt", attempts::to_json(&attempt)).to_string()))
            }
            ExportItem::Event(found) if found.head.is_expired_or_deleted(self.now) => Ok(None),
            ExportItem::Event(found) => self.event_line(&found).await,
            ExportItem::Unreadable => Ok(Some(of_kind("unreadable", json!({"key": key})).to_string())),
        }
    }

    /// Returns the line of an event; `None` if its payload was deleted in the meantime.
    async fn event_line(&self, found: &Found) -> PortResult<Option<String>> {
        let Some(payload) = self.api.events.payload(&self.bearer.tenant, found).await? else {
            return Ok(None);
        };
        let head = &found.head;
        let mut deliveries: Vec<Value> = Vec::new();
        for (endpoint, delivery) in &head.deliveries {
            let last = history::last_attempt(head.id, endpoint, delivery);
            let mut members = history::delivery(endpoint, delivery, None);
            members["last_attempt"] = last.as_ref().map(attempts::to_json).into();
            deliveries.push(members);
        }
        let more = [
            ("kind", json!("event")),
            ("lease_count", json!(head.lease_count)),
            ("deliveries", json!(deliveries)),
        ];
        Ok(Some(inbox::to_json_with(head, &payload, &more)))
    }
}

/// Adds the member `kind`, which says what the line is about.
fn of_kind(kind: &str, mut members: Value) -> Value {
    members["kind"] = kind.into();
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_its_displayed_form() {
        for after in [None, Some("evt_1#ep_1#01#7 x".to_owned())] {
            let place = Place { shard: 3, after };
            assert_eq!(Place::read(&place.to_string()), Some(place));
        }
        for wrong in ["", "3", "x y", "300 "] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }
}
