//! Direct reads and writes of `Schedule`.

use domain::delivery::schedule::{EndpointRow, Parked};
use domain::inbox::expiry::ExpiryBatch;
use domain::inbox::notice_request::NoticeRequest;
use domain::job::Job;
use domain::timestamp::Timestamp;

use super::MemoryTables;
use crate::item::{Item, Unreadable};
use crate::schedule::{expiring, job_item, notices, parked};

impl MemoryTables {
    /// Returns when the next message is due; `None` if there is none.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.schedule.items().iter().filter_map(|item| item.timestamp("due_at").ok()).min()
    }

    /// Returns all parked deliveries.
    #[must_use]
    pub fn parked(&self) -> Vec<Parked> {
        self.rows(|item| item.text("pk").is_ok_and(|pk| pk.contains("#parked#")), parked::read)
    }

    /// Returns the rows of all endpoints with parked deliveries.
    #[must_use]
    pub fn endpoint_rows(&self) -> Vec<EndpointRow> {
        self.rows(|item| item.has("version"), parked::read_endpoint)
    }

    /// Returns all batches of events that will expire, sorted by the time of their notice.
    #[must_use]
    pub fn expiring(&self) -> Vec<ExpiryBatch> {
        self.rows(|item| item.has("born_from"), expiring::read)
    }

    /// Returns all requests for notices.
    #[must_use]
    pub fn notice_requests(&self) -> Vec<NoticeRequest> {
        self.rows(|item| item.has("notice"), notices::read)
    }

    /// Returns all jobs, running or ended.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.rows(|item| item.has("work"), job_item::read)
    }

    /// Parks a delivery, as if another process had parked it.
    pub fn overwrite_parked(&self, parked: &Parked, expires_at: Timestamp) {
        self.schedule.put_item(parked::write(parked, expires_at));
        let partition = parked.partition();
        let key = parked::endpoint_key(&partition);
        let old = self.schedule.item(&key).unwrap_or_default();
        let version: u64 = old.number("version").unwrap_or_default();
        self.schedule.put_item(parked::names(&partition).with("version", version + 1).at(key));
    }

    /// Deletes the row of a parked delivery.
    pub fn remove_parked(&self, parked: &Parked) {
        self.schedule.delete_item(&parked::key(parked));
    }

    /// Returns the rows of one kind, as `read` reads them.
    fn rows<R>(&self, is_kind: impl Fn(&Item) -> bool, read: fn(&Item) -> Result<R, Unreadable>) -> Vec<R> {
        let items = self.schedule.items();
        items.iter().filter(|item| is_kind(item)).filter_map(|item| read(item).ok()).collect()
    }
}
