//! Sends the notices about inboxes that other functions request: `inbox.filling` and `inbox.quarantined`. Then deletes the row
//! of the request. A notice that is sent twice is the same event, which is stored once.

use domain::inbox::notice_request::{NoticeRequest, Reason};
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
        if let Some(tenant) = self.control.tenant(&request.tenant).await? {
            let tier = tenant.tier;
            let now = self.clock.now();
            let backlog = self.limits.backlog(&request.tenant).await?;
            let is_due = match request.reason {
                Reason::Filling => backlog.is_filling(tier, now),
                Reason::Quarantined(_) => true,
            };
            if is_due {
                let first_at = self.limits.first_notice_at(request, now).await?;
                let notice = request.notice(tier, backlog.count(tier, now), first_at);
                counts.notices = u64::from(self.send_notice(notice).await?);
            }
        }
        self.schedule.delete_notice_request(request).await?;
        Ok(counts)
    }
}
