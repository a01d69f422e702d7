//! The table `Schedule`: rows that are due later, parked deliveries, events that will expire, and jobs.
//!
//! A row that this version cannot read, for example one that a newer version wrote before a rollback, stays where it is. Reads step
//! over it, and it counts as present: the row of an endpoint is deleted only when its partition is really empty.

pub mod due;

pub mod parked;

pub mod expiring;

pub mod jobs;

mod job_names;

pub(crate) mod job_item;

use domain::delivery::DeliveryMessage;
use domain::timestamp::Timestamp;

use crate::envelope::{delivery_body, read_delivery};
use crate::item::{Item, Unreadable};
use crate::items::Items;
use crate::table::Table;
use crate::table::query::Query;
use crate::unavailable::PortResult;

/// Pages without a single readable row that one read steps over. Rows behind more of them wait.
const MAX_UNREADABLE_PAGES: usize = 20;

/// Where fewer rows are wanted, a page is limited to them; 1 MB holds more.
const MAX_PAGE_ROWS: usize = 1000;

/// The table `Schedule`.
#[derive(Clone, Debug)]
pub struct Schedule<T> {
    items: Items<T>,
}

/// Rows of a partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rows<R> {
    /// The rows that can be read, in their order.
    pub rows: Vec<R>,
    /// Whether the partition, or the range that was read, holds no row at all, not even one that cannot be read.
    pub is_empty: bool,
}

impl<T: Table> Schedule<T> {
    /// Returns the store over this table.
    pub fn new(table: T) -> Self {
        Self { items: Items::new(table) }
    }

    /// Reads up to `most` rows; steps over those that cannot be read, and logs them.
    async fn rows<R>(
        &self,
        query: Query,
        most: usize,
        read: impl Fn(&Item) -> Result<R, Unreadable>,
    ) -> PortResult<Rows<R>> {
        let mut found = Rows { rows: Vec::new(), is_empty: true };
        let query = if most < MAX_PAGE_ROWS { query.limit(most) } else { query };
        let mut start = query.start.clone();
        let mut unreadable_pages = 0;
        while unreadable_pages < MAX_UNREADABLE_PAGES {
            let page = self.items.page(query.clone().from(start)).await?;
            let before = found.rows.len();
            for item in &page.items {
                found.is_empty = false;
                match read(item) {
                    Ok(row) => found.rows.push(row),
                    Err(error) => {
                        tracing::error!(cause = %error, "a row of Schedule cannot be read; it stays");
                    }
                }
                if found.rows.len() == most {
                    return Ok(found);
                }
            }
            start = page.next;
            if start.is_none() {
                break;
            }
            unreadable_pages += usize::from(found.rows.len() == before);
        }
        Ok(found)
    }
}

/// Returns the attributes of a row that holds a message: the message as its queue carries it, and when its event expires.
fn message_row(message: &DeliveryMessage, expires_at: Timestamp) -> Item {
    Item::from([("message", delivery_body(message).into()), ("ttl", expires_at.seconds().into())])
}

fn read_message(row: &Item) -> Result<DeliveryMessage, Unreadable> {
    read_delivery(row.text("message")?).map_err(|_| Unreadable("message"))
}
