//! Everything that is kept of a tenant, as lines of JSON: the tenant itself, its keys and endpoints, then every event with its
//! deliveries, each followed by its logged attempts. No secret is among them: secrets belong to no person.

use std::fmt;

use domain::delivery::Delivery;
use domain::endpoint::id::EndpointId;
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

/// Payloads read side by side.
const CONCURRENT_PAYLOADS: usize = 8;

/// Where an export goes on: behind this sort key of this shard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    shard: u8,
    after: Option<String>,
}

impl Place {
    /// The place that was written so.
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

/// A page, and where the next one goes on.
pub(crate) struct Page {
    pub(crate) lines: String,
    pub(crate) next: Option<Place>,
}

/// An export of one tenant.
pub(crate) struct Export<'a, P: Ports> {
    pub(crate) api: &'a Api<P>,
    pub(crate) bearer: &'a KeyRecord,
    pub(crate) now: Timestamp,
}

impl<P: Ports> Export<'_, P> {
    /// A page that looked at `limit` events and attempts. The first page begins with what is no event.
    pub(crate) async fn page(&self, place: Option<Place>, limit: usize) -> Result<Page, Problem> {
        let mut page = Page { lines: String::new(), next: None };
        let mut budget = ResponseBudget::default();
        if place.is_none() {
            page.lines = self.about_the_tenant().await?;
        }
        let mut place = place.unwrap_or(Place { shard: 0, after: None });
        let mut left = limit;
        while place.shard < self.bearer.spread.read() {
            if left == 0 {
                page.next = Some(place);
                return Ok(page);
            }
            let tenant = &self.bearer.tenant;
            let after = place.after.as_deref();
            let ExportPage { items, scanned, reached } =
                self.api.events.export_page(tenant, place.shard, after, left, self.now).await?;
            left -= scanned.min(left);
            let lines = items.into_iter().map(|(key, item)| async move {
                let line = self.line(&key, item).await?;
                PortResult::Ok((key, line))
            });
            let mut lines = stream::iter(lines).buffered(CONCURRENT_PAYLOADS);
            while let Some(line) = lines.next().await {
                let (key, line) = line?;
                if let Some(line) = line {
                    if !budget.takes(&line) {
                        page.next = Some(place);
                        return Ok(page);
                    }
                    page.lines += &line;
                    page.lines.push('\n');
                }
                place.after = Some(key);
            }
            place = match reached {
                Some(_) => Place { after: reached, ..place },
                None => Place { shard: place.shard + 1, after: None },
            };
        }
        Ok(page)
    }

    async fn about_the_tenant(&self) -> Result<String, Problem> {
        let (control, tenant) = (&self.api.control, &self.bearer.tenant);
        let (owner, listed) = control.tenant_with_keys(tenant).await?.ok_or_else(Problem::not_found)?;
        let mut about = keys::tenant_members(&owner);
        about["created_at"] = owner.created_at.to_string().into();
        let mut lines = vec![of_kind("tenant", about)];
        lines.extend(listed.iter().map(|key| of_kind("key", keys::listed(key))));
        for endpoint in control.endpoints(tenant).await? {
            let shown = endpoints::shown_with_backlog(self.api, tenant, &endpoint).await?;
            lines.push(of_kind("endpoint", shown));
        }
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        Ok(lines.join("\n") + "\n")
    }

    /// Returns the line of an item; none for what is left of a deleted event. An item that this version cannot read is named.
    async fn line(&self, key: &str, item: ExportItem) -> PortResult<Option<String>> {
        match item {
            ExportItem::Attempt(attempt) => {
                Ok(Some(of_kind("attempt", attempts::shown(&attempt)).to_string()))
            }
            ExportItem::Event(found) if found.head.is_expired_or_deleted(self.now) => Ok(None),
            ExportItem::Event(found) => self.line_of_event(&found).await,
            ExportItem::Unreadable => Ok(Some(of_kind("unreadable", json!({"key": key})).to_string())),
        }
    }

    async fn line_of_event(&self, found: &Found) -> PortResult<Option<String>> {
        let payload = self.api.events.payload(&self.bearer.tenant, found).await?;
        let event = found.head.id;
        let shown = |(id, delivery): (&EndpointId, &Delivery)| {
            let mut shown = history::delivery(id, delivery, None);
            shown["last_attempt"] =
                history::last_attempt(event, id, delivery).as_ref().map(attempts::shown).into();
            shown
        };
        let deliveries: Vec<Value> = found.head.deliveries.iter().map(shown).collect();
        let more = [
            ("kind", json!("event")),
            ("lease_count", json!(found.head.lease_count)),
            ("deliveries", json!(deliveries)),
        ];
        Ok(payload.map(|payload| inbox::shown_with(&found.head, &payload, &more)))
    }
}

fn of_kind(kind: &str, mut members: Value) -> Value {
    members["kind"] = kind.into();
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for after in [None, Some("evt_1#ep_1#01#7 x".to_owned())] {
            let place = Place { shard: 3, after };
            assert_eq!(Place::read(&place.to_string()), Some(place));
        }
        for wrong in ["", "3", "x y", "300 "] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }
}
