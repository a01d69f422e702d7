//! Sends the notices about inboxes that other functions request, if their reason holds: `inbox.filling` and `inbox.quarantined`.
//! Then deletes the row of the request. A notice that is sent twice is the same event, which is stored once.

use domain::inbox::Status;
use domain::inbox::notice_request::{Content, LastLease, NoticeRequest, Reason};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::handler::{RunCounts, Scheduler};

/// The largest number of requests in one run. The next run goes on with the others.
const MAX_REQUESTS: usize = 500;

impl<P: Ports> Scheduler<P> {
    /// Sends the notices that are requested.
    pub(crate) async fn send_inbox_notices(&self, until: Timestamp) -> RunCounts {
        let requests = match self.schedule.notice_requests(MAX_REQUESTS).await {
            Ok(requests) => requests,
            Err(error) => return RunCounts::of_step(Err(error)),
        };
        let mut counts = RunCounts::default();
        for request in requests {
            if self.has_time(until) {
                counts = counts.plus(RunCounts::of_step(self.send_inbox_notice(&request).await));
            }
        }
        counts
    }

    async fn send_inbox_notice(&self, request: &NoticeRequest) -> PortResult<RunCounts> {
        let mut counts = RunCounts::default();
        match self.find_reason(request).await? {
            Found::Reason(content) => {
                let first_at = self.limits.first_notice_at(request, self.clock.now()).await?;
                counts.notices = u64::from(self.send_notice(request.notice(content, first_at)).await?);
            }
            Found::NoReason => {}
            Found::NoReasonYet => return Ok(counts),
        }
        self.schedule.delete_notice_request(request).await?;
        Ok(counts)
    }

    /// Looks whether the reason of a request holds.
    async fn find_reason(&self, request: &NoticeRequest) -> PortResult<Found> {
        let Some(tenant) = self.control.tenant(&request.tenant).await? else { return Ok(Found::NoReason) };
        match &request.reason {
            Reason::Filling => {
                let (tier, now) = (tenant.tier, self.clock.now());
                let backlog = self.limits.backlog(&request.tenant).await?;
                let content = Content::Filling(tier, backlog.count(tier, now));
                Ok(if backlog.is_filling(tier, now) { Found::Reason(content) } else { Found::NoReason })
            }
            Reason::Quarantined(last) => self.find_quarantined(&request.tenant, last).await,
        }
    }

    /// Looks for a quarantined event among those of a lease. An event that is still in the inbox may be quarantined after it
    /// was read, as long as the lease takes events.
    async fn find_quarantined(&self, tenant: &TenantId, last: &LastLease) -> PortResult<Found> {
        let is_over = last.is_over(self.clock.now());
        let mut none = Found::NoReason;
        for event in &last.events {
            let found = self.events.head(tenant, *event).await?;
            match found.map(|found| found.head.status) {
                Some(Status::Quarantined) => return Ok(Found::Reason(Content::Quarantined(*event))),
                Some(status) if status.is_untaken() && !is_over => none = Found::NoReasonYet,
                Some(_) | None => {}
            }
        }
        Ok(none)
    }
}

/// Whether the reason of a request holds.
enum Found {
    /// It holds, and the notice says this.
    Reason(Content),
    /// It does not hold.
    NoReason,
    /// It does not hold now, but may hold at the next run.
    NoReasonYet,
}
