//! Requests for notices, until the notice is sent or has no reason: one row for each tenant and day of an inbox that fills up,
//! and one for each lease that may quarantine events.

use domain::event::id::EventId;
use domain::inbox::lease::LeaseId;
use domain::inbox::notice_request::{LastLease, NoticeRequest, Reason};
use domain::inbox::notice_type::{FILLING, QUARANTINED};
use domain::timestamp::Timestamp;

use super::Schedule;
use crate::item::{Item, Key, Unreadable};
use crate::keys;
use crate::table::Table;
use crate::table::query::Query;
use crate::table::write::Delete;
use crate::unavailable::PortResult;

/// How long a row is kept that no scheduler reads, in days.
const KEEP_DAYS: u64 = 3;

impl<T: Table> Schedule<T> {
    /// Puts the row of a request. A later row of the same lease replaces an earlier one.
    pub async fn request_notice(&self, request: &NoticeRequest) -> PortResult<()> {
        let row = Item::from([
            ("tenant", request.tenant.as_str().into()),
            ("day", request.day.into()),
            ("notice", request.reason.event_type().into()),
            ("ttl", Timestamp::from_days(request.day + KEEP_DAYS).seconds().into()),
        ]);
        let row = match &request.reason {
            Reason::Filling => row,
            Reason::Quarantined(LastLease { id, events, at }) => row
                .with_some("lease", id.as_ref().map(LeaseId::as_str))
                .with("events", events.iter().flat_map(|id| id.to_bytes()).collect::<Vec<u8>>())
                .with("at", *at)
                .with_some("event", events.first().map(ToString::to_string)), // for the version before
        };
        self.items.put(row.at(key(request))).await
    }

    /// Returns at most `most` requests.
    pub async fn notice_requests(&self, most: usize) -> PortResult<Vec<NoticeRequest>> {
        self.rows(Query::consistent(keys::NOTICES), most, read).await.map(|found| found.rows)
    }

    /// Deletes the row of a request whose notice is sent.
    pub async fn delete_notice_request(&self, request: &NoticeRequest) -> PortResult<()> {
        self.items.delete(Delete::new(key(request))).await.map(drop)
    }
}

fn key(request: &NoticeRequest) -> Key {
    Key::new(keys::NOTICES, keys::notice_row(request))
}

/// Reads the row of a request.
pub(crate) fn read(row: &Item) -> Result<NoticeRequest, Unreadable> {
    let reason = match row.text("notice")? {
        FILLING => Reason::Filling,
        QUARANTINED => Reason::Quarantined(last_lease(row)?),
        _ => return Err(Unreadable("notice")),
    };
    Ok(NoticeRequest { tenant: row.tenant("tenant")?, day: row.number("day")?, reason })
}

/// Reads the lease that may quarantine events. The version before named one event, after it was quarantined.
fn last_lease(row: &Item) -> Result<LastLease, Unreadable> {
    let Ok(id) = row.text("lease") else {
        let event = EventId::parse(row.text("event")?).ok_or(Unreadable("event"))?;
        return Ok(LastLease { id: None, events: vec![event], at: Timestamp::from_millis(0) });
    };
    Ok(LastLease {
        id: Some(LeaseId::parse(id).ok_or(Unreadable("lease"))?),
        events: row.bytes("events")?.as_chunks().0.iter().map(|id| EventId::from_stored_bytes(*id)).collect(),
        at: row.timestamp("at")?,
    })
}
