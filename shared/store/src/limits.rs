//! The table `Limits`: the tokens and statistics of each minute, the backlogs of each day, and the counters of
//! `/metrics`.

pub mod admissions;
pub mod backlog;
pub mod counters;
mod once;
pub mod queue_age;
mod signups;
mod stats;
pub mod test_turn;

use domain::tenant::id::TenantId;
use domain::tenant::rate_limit::{Leased, Meter};

use self::once::update_once;
use crate::item::Key;
use crate::items::{Items, Outcome};
use crate::keys;
use crate::table::Table;
use crate::table::condition::absent_or_at_most;
use crate::table::query::Query;
use crate::table::write::Update;
use crate::unavailable::PortResult;

/// How long an item of a minute is kept after the minute, in seconds.
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

    /// Takes `wanted` tokens of a minute, all or none, so that at most `limit` tokens are taken in that minute.
    /// `minute` counts from the epoch.
    pub async fn lease(&self, meter: &Meter, minute: u64, wanted: u32, limit: u32) -> PortResult<Leased> {
        let take = Update::new(minute_key(meter, minute))
            .add("taken", wanted)
            .set("ttl", ttl(minute))
            .only_if(absent_or_at_most("taken", limit.saturating_sub(wanted)));
        Ok(match update_once(&self.items, take).await? {
            Outcome::Done(item) => Leased::Granted { taken: item.number("taken").unwrap_or(limit) },
            Outcome::Refused(item) => {
                let taken: u32 = item.number("taken").unwrap_or(limit);
                Leased::Exhausted { left: limit.saturating_sub(taken) }
            }
        })
    }

    /// Takes tokens of a minute beyond any limit; returns the number of tokens taken in that minute. A lease in that
    /// minute finds the tokens taken. Each call counts.
    ///
    /// # Errors
    /// When the table does not answer. The call may have counted then.
    pub async fn charge(&self, meter: &Meter, minute: u64, tokens: u32) -> PortResult<u32> {
        let charge = Update::new(minute_key(meter, minute)).add("taken", tokens).set("ttl", ttl(minute));
        let (Outcome::Done(item) | Outcome::Refused(item)) = update_once(&self.items, charge).await?;
        // A sum beyond the range of a number of tokens is beyond every limit too.
        Ok(item.number("taken").unwrap_or(u32::MAX))
    }

    /// Deletes the backlog and the statistics of a tenant; returns the number of items. The other items expire within
    /// hours.
    ///
    /// # Errors
    /// When the table does not answer. Some items may be deleted then.
    pub async fn purge(&self, tenant: &TenantId) -> PortResult<usize> {
        let backlog = self.items.delete_found(Query::consistent(keys::backlog(tenant))).await?;
        let stats = self.items.delete_found(Query::consistent(keys::stats(tenant))).await?;
        Ok(backlog + stats)
    }
}

fn minute_key(meter: &Meter, minute: u64) -> Key {
    Key::new(keys::minute(meter, minute), keys::ONLY)
}

/// Returns the time to live of an item of a minute, in seconds since the epoch.
fn ttl(minute: u64) -> u64 {
    (minute + 1) * 60 + KEEP_SECONDS
}
