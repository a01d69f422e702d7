//! Requests for notices: one row for each tenant, kind and day, until the notice is sent.

use domain::event::id::EventId;
use domain::inbox::notice_request::{NoticeRequest, Reason};
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
    /// Puts the row of a request, if there is none: the first reason is the one that the notice names.
    pub async fn request_notice(&self, request: &NoticeRequest) -> PortResult<()> {
        let event = match request.reason {
            Reason::Filling => None,
            Reason::Quarantined(event) => Some(event.to_string()),
        };
        let row = Item::from([
            ("tenant", request.tenant.as_str().into()),
            ("day", request.day.into()),
            ("notice", request.reason.event_type().into()),
            ("ttl", Timestamp::from_days(request.day + KEEP_DAYS).seconds().into()),
        ]);
        self.items.put_new(row.with_some("event", event).at(key(request))).await.map(drop)
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
        Reason::FILLING => Reason::Filling,
        Reason::QUARANTINED => {
            Reason::Quarantined(EventId::parse(row.text("event")?).ok_or(Unreadable("event"))?)
        }
        _ => return Err(Unreadable("notice")),
    };
    Ok(NoticeRequest { tenant: row.tenant("tenant")?, day: row.number("day")?, reason })
}
