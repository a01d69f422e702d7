//! The backlog of a tenant: the events in its inbox, one item for each day of their acceptance.

use domain::inbox::notice_request::NoticeRequest;
use domain::tenant::backlog::{Backlog, DayChange};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;

use super::Limits;
use super::counters::{QueueName, Wait, latest_wait};
use super::once::update_once;
use crate::item::{Item, Key};
use crate::items::Outcome;
use crate::keys;
use crate::table::Table;
use crate::table::condition::absent;
use crate::table::query::Query;
use crate::table::write::Update;
use crate::unavailable::PortResult;

/// How long the item of a day is kept, in days. No event is kept longer.
const KEEP_DAYS: u64 = 100;

/// How long the wait of a tenant's events is kept, in seconds: longer than it counts.
const KEEP_WAIT_SECONDS: u64 = 3600;

/// What decides whether a tenant may post now, from one partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Demand {
    /// The approximate backlog.
    pub backlog: Backlog,
    /// The last long wait of the tenant's own events in the queue `events`.
    pub wait: Option<Wait>,
}

/// How long the time of the first notice of a day is kept, in days: longer than its request.
const KEEP_FIRST_NOTICE_DAYS: u64 = 4;

impl<T: Table> Limits<T> {
    /// Adds a change to the backlog of a tenant; returns the new count of each changed day. Each call counts.
    ///
    /// # Errors
    /// When the table does not answer. The call may have counted then.
    pub async fn change_backlog(&self, tenant: &TenantId, change: &Backlog) -> PortResult<Vec<DayChange>> {
        let changes = change.days().map(|(day, change)| async move {
            let update = Update::new(Key::new(keys::backlog(tenant), keys::backlog_day(day)))
                .add("waiting", change)
                .set("ttl", Timestamp::from_days(day + KEEP_DAYS).seconds());
            let (Outcome::Done(item) | Outcome::Refused(item)) = update_once(&self.items, update).await?;
            PortResult::Ok(DayChange { day, change, count: item.number("waiting")? })
        });
        try_join_all(changes).await
    }

    /// Returns when the first notice of this tenant, kind and day was made: now, unless an earlier call is on record.
    pub async fn first_notice_at(&self, request: &NoticeRequest, now: Timestamp) -> PortResult<Timestamp> {
        let key = Key::new(keys::backlog(&request.tenant), keys::first_notice(request));
        let first = Update::new(key)
            .returning()
            .set("first_at", now)
            .set("ttl", Timestamp::from_days(request.day + KEEP_FIRST_NOTICE_DAYS).seconds())
            .only_if(absent("first_at"));
        Ok(match self.items.update(first).await? {
            Outcome::Done(_) => now,
            Outcome::Refused(found) => found.timestamp("first_at")?,
        })
    }

    /// Returns whether the first notice of this tenant, kind and day was made. It is sent then, or is being sent: the scheduler
    /// keeps the request that led to it until it is sent.
    pub async fn has_first_notice(&self, request: &NoticeRequest) -> PortResult<bool> {
        let key = Key::new(keys::backlog(&request.tenant), keys::first_notice(request));
        Ok(self.items.get_eventually(key).await?.is_some())
    }

    /// Stores that events of this tenant had waited long in the queue `events` when a batch was received.
    ///
    /// # Errors
    /// When the table does not answer. The wait may be stored then.
    pub async fn record_wait(&self, tenant: &TenantId, wait: &Wait) -> PortResult<()> {
        let (waited, at) = wait.queue.attributes();
        let update = Update::new(Key::new(keys::backlog(tenant), keys::WAIT))
            .set(waited, wait.waited_ms)
            .set(at, wait.at)
            .set("ttl", wait.at.seconds() + KEEP_WAIT_SECONDS);
        self.items.update(update).await.map(drop)
    }

    /// Returns the approximate backlog of a tenant.
    pub async fn backlog(&self, tenant: &TenantId) -> PortResult<Backlog> {
        Ok(self.demand(tenant).await?.backlog)
    }

    /// Returns the approximate backlog of a tenant, and the last long wait of its events. Costs one call.
    pub async fn demand(&self, tenant: &TenantId) -> PortResult<Demand> {
        let items = self.items.all(Query::eventual(keys::backlog(tenant))).await?;
        let backlog = Backlog::of(items.iter().filter_map(read));
        Ok(Demand { backlog, wait: latest_wait(&items, QueueName::Events) })
    }
}

fn read(item: &Item) -> Option<(u64, i64)> {
    let waiting: i64 = item.number("waiting").ok()?;
    let day = item.text("sk").ok()?.parse().ok()?;
    (waiting != 0).then_some((day, waiting))
}
