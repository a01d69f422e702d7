//! The export of a tenant's events and attempts, in the order of their keys.

use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::Events;
use super::attempt_item::{self, LoggedAttempt, is_attempt};
use super::head_item::{self, Found};
use crate::item::Item;
use crate::keys;
use crate::ports::Ports;
use crate::table::condition::greater;
use crate::table::query::{Query, Range};
use crate::unavailable::PortResult;

/// An item of an export.
#[derive(Debug)]
pub enum ExportItem {
    /// An event.
    Event(Box<Found>),
    /// An attempt.
    Attempt(Box<LoggedAttempt>),
    /// An item that this version cannot read. The export shows its key, so that no item is missing without notice.
    Unreadable,
}

/// A page of an export.
#[derive(Debug)]
pub struct ExportPage {
    /// The items with their sort keys.
    pub items: Vec<(String, ExportItem)>,
    /// The number of items that were read.
    pub scanned: usize,
    /// The sort key of the last item that was read; `None` if the shard is read to its end.
    pub reached: Option<String>,
}

impl<P: Ports> Events<P> {
    /// Reads at most `most` items of one shard, oldest event first, each event before its attempts. Starts after the
    /// sort key that the previous page reached. Leaves out expired items.
    pub async fn export_page(
        &self,
        tenant: &TenantId,
        shard: u8,
        after: Option<&str>,
        most: usize,
        now: Timestamp,
    ) -> PortResult<ExportPage> {
        let range = after.map_or(Range::All, |sk| Range::After(sk.to_owned()));
        let query = Query::consistent(keys::shard(tenant, shard))
            .range(range)
            .filter(greater("ttl", now.seconds()))
            .limit(most);
        let page = self.items.page(query).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for item in &page.items {
            items.push((item.text("sk")?.to_owned(), read(item)));
        }
        let reached = page.next.as_ref().map(|key| key.text("sk").map(str::to_owned)).transpose()?;
        Ok(ExportPage { items, scanned: page.scanned, reached })
    }
}

fn read(item: &Item) -> ExportItem {
    let read = if is_attempt(item) {
        attempt_item::readable(item).map(|attempt| ExportItem::Attempt(Box::new(attempt)))
    } else {
        head_item::readable(item).map(|found| ExportItem::Event(Box::new(found)))
    };
    read.unwrap_or(ExportItem::Unreadable)
}
