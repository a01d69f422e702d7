//! The table `Limits`: tokens and stats of each minute, backlogs of each day, and the counters behind `/metrics`.

pub mod once;

mod admissions;

mod backlog;

pub mod counters;

mod stats;

use domain::tenant::id::TenantId;
use domain::tenant::rate_limit::{Leased, Meter};

use self::once::{Once, Take};
use crate::item::Key;
use crate::items::Items;
use crate::keys;
use crate::table::Table;
use crate::table::query::Query;
use crate::unavailable::PortResult;

/// Items of a minute are kept for an hour after it.
const KEEP_SECONDS: u64 = 3600;

/// The table `Limits`.
#[derive(Clone, Debug)]
pub struct Limits<T> {
    items: Items<T>,
}

impl<T: Table> Limits<T> {
    /// Returns the store over this table.
    pub fn new(table: T) -> Self {
        Self { items: Items::new(table) }
    }

    /// Takes `slice` tokens of a minute whose limit is `limit`: all of them or none. The minute's count never passes the limit.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn lease(&self, meter: &Meter, minute: u64, slice: u32, limit: u32) -> PortResult<Leased> {
        let key = Key::new(keys::minute(meter, minute), keys::ONLY);
        let take = Once::new(key)
            .add("taken", slice)
            .set("ttl", ends_after(minute))
            .only_up_to("taken", limit.saturating_sub(slice).into());
        Ok(match take.send(&self.items).await? {
            Take::Done(item) => Leased::Granted { taken: item.number("taken").unwrap_or(limit) },
            Take::Refused(item) => {
                let taken: u32 = item.number("taken").unwrap_or(limit);
                Leased::Exhausted { left: limit.saturating_sub(taken) }
            }
        })
    }

    /// Deletes the backlog and the stats of a tenant; returns how many items there were. Items of a minute end by themselves.
    ///
    /// # Errors
    /// When the table does not answer; some may be deleted then.
    pub async fn purge(&self, tenant: &TenantId) -> PortResult<usize> {
        let mut found = Vec::new();
        for partition in [keys::backlog(tenant), keys::stats(tenant)] {
            for item in self.items.all(Query::consistent(partition).keys()).await? {
                found.push(item.key()?);
            }
        }
        let count = found.len();
        self.items.delete_all(found).await?;
        Ok(count)
    }
}

/// Returns when the item of a minute may be deleted, in seconds since the epoch.
fn ends_after(minute: u64) -> u64 {
    (minute + 1) * 60 + KEEP_SECONDS
}
