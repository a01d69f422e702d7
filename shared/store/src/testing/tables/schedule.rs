//! `Schedule`, past the store's rules.

use domain::delivery::schedule::{EndpointRow, Parked};
use domain::inbox::expiry::ExpiryBatch;
use domain::job::Job;
use domain::timestamp::Timestamp;

use super::MemoryTables;
use crate::item::{Item, Unreadable};
use crate::schedule::{expiring, job_item, parked};

impl MemoryTables {
    /// Returns when the next row is due; `None` where there is none.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.schedule.items().iter().filter_map(|item| item.moment("due_at").ok()).min()
    }

    /// Returns every parked delivery.
    #[must_use]
    pub fn parked(&self) -> Vec<Parked> {
        self.rows(|item| item.has("token"), parked::read)
    }

    /// Returns the row of every endpoint that has one.
    #[must_use]
    pub fn endpoint_rows(&self) -> Vec<EndpointRow> {
        self.rows(|item| item.has("version"), parked::read_endpoint)
    }

    /// Returns every row of events that will expire, in the order in which their owners get the notice.
    #[must_use]
    pub fn expiring(&self) -> Vec<ExpiryBatch> {
        self.rows(|item| item.has("born_from"), expiring::read)
    }

    /// Returns every job, under way or ended.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.rows(|item| item.has("work"), job_item::read)
    }

    /// Parks a delivery, as another process would.
    pub fn overwrite_parked(&self, parked: &Parked, expires_at: Timestamp) {
        self.schedule.put_item(parked::write(parked, expires_at));
        let message = &parked.message;
        let key = parked::endpoint_key(&message.tenant, &message.endpoint);
        let row = self.schedule.item(&key).unwrap_or_default();
        let version: u64 = row.number("version").unwrap_or_default();
        let row = row
            .with("version", version + 1)
            .with("tenant", message.tenant.as_str())
            .with("endpoint", message.endpoint.as_str());
        self.schedule.put_item(row.at(key));
    }

    /// Deletes the row of a parked delivery.
    pub fn remove_parked(&self, parked: &Parked) {
        self.schedule.delete_item(&parked::key(parked));
    }

    fn rows<R>(&self, is_one: impl Fn(&Item) -> bool, read: fn(&Item) -> Result<R, Unreadable>) -> Vec<R> {
        let items = self.schedule.items();
        items.iter().filter(|item| is_one(item)).filter_map(|item| read(item).ok()).collect()
    }
}
