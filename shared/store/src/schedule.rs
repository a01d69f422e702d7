//! The table `Schedule`: messages that are due later, parked deliveries, events that will expire, requests for notices, and
//! jobs with the place of their turn.
//!
//! An unreadable row, for example one that a newer version wrote before a rollback, is skipped and not deleted. It
//! still counts as a row: the row of an endpoint is deleted only when the endpoint has no row at all.

pub mod due;
pub mod expiring;
pub(crate) mod job_item;
mod job_names;
pub mod jobs;
pub(crate) mod notices;
pub mod parked;
pub mod turns;

use domain::delivery::DeliveryMessage;
use domain::timestamp::Timestamp;

use crate::envelope::{delivery_body, read_delivery};
use crate::item::{Item, Unreadable};
use crate::items::Items;
use crate::table::Table;
use crate::table::query::Query;
use crate::unavailable::PortResult;

/// A read of rows ends after this many pages, in total, that have no row that this version can read.
const MAX_UNREADABLE_PAGES: usize = 20;

/// A query for fewer rows than this has a limit. Other queries end a page at 1 MB.
const MAX_LIMIT: usize = 1000;

/// The table `Schedule`.
#[derive(Clone, Debug)]
pub struct Schedule<T> {
    items: Items<T>,
}

/// Rows that were read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rows<R> {
    /// The readable rows, in the order of their keys.
    pub rows: Vec<R>,
    /// Whether there is no row in the range that was read, not even an unreadable one.
    pub is_empty: bool,
    /// Whether the read ended before the end of the range.
    pub has_more: bool,
}

impl<T: Table> Schedule<T> {
    /// Returns the store over this table.
    pub fn new(table: T) -> Self {
        Self { items: Items::new(table) }
    }

    /// Reads at most `most` rows, from the start of the query. Logs unreadable rows and skips them.
    async fn rows<R>(
        &self,
        query: Query,
        most: usize,
        read: impl Fn(&Item) -> Result<R, Unreadable>,
    ) -> PortResult<Rows<R>> {
        let mut found = Rows { rows: Vec::new(), is_empty: true, has_more: true };
        let limited =
            |limit: usize| if limit < MAX_LIMIT { query.clone().limit(limit) } else { query.clone() };
        let mut limit = most;
        let mut start = query.start.clone();
        let mut unreadable_pages = 0;
        while unreadable_pages < MAX_UNREADABLE_PAGES {
            let page = self.items.page(limited(limit).from(start)).await?;
            let before = found.rows.len();
            for item in &page.items {
                found.is_empty = false;
                match read(item) {
                    Ok(row) => found.rows.push(row),
                    Err(error) => {
                        tracing::error!(cause = %error, "a row of Schedule is unreadable; it is skipped");
                    }
                }
                if found.rows.len() == most {
                    return Ok(found);
                }
            }
            start = page.next;
            if start.is_none() {
                found.has_more = false;
                break;
            }
            if found.rows.len() == before {
                unreadable_pages += 1;
                limit = MAX_LIMIT; // steps over many unreadable rows with few calls
            }
        }
        Ok(found)
    }
}

/// Returns the attributes of a row with a message: the body as in the queue `deliveries`, and when the event expires.
fn message_row(message: &DeliveryMessage, expires_at: Timestamp) -> Item {
    Item::from([("message", delivery_body(message).into()), ("ttl", expires_at.seconds().into())])
}

/// Reads the message of a row.
fn read_message(row: &Item) -> Result<DeliveryMessage, Unreadable> {
    read_delivery(row.text("message")?).map_err(|_| Unreadable("message"))
}
