//! Everything that is stored of a tenant's events, in the order of the keys, for an export.

use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::Events;
use super::attempt_item::{self, is_attempt};
use super::attempts::LoggedAttempt;
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
    /// An attempt in the log.
    Attempt(Box<LoggedAttempt>),
    /// An item that this version cannot read. It is named, so that an export never leaves anything out in silence.
    Unreadable,
}

/// A page of an export.
#[derive(Debug)]
pub struct ExportPage {
    /// The items, each with its sort key.
    pub items: Vec<(String, ExportItem)>,
    /// How many items were read.
    pub scanned: usize,
    /// The sort key of the last of them, where there is more.
    pub reached: Option<String>,
}

impl<P: Ports> Events<P> {
    /// Reads at most `most` items of one shard, the oldest event first, each event before its attempts, from behind the sort key where
    /// the page before ended. Leaves out what has expired.
    ///
    /// # Errors
    /// When the table does not answer.
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
        let reached = match &page.next {
            Some(key) => Some(key.text("sk")?.to_owned()),
            None => None,
        };
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
