//! Requests for a notice about an inbox. The function that sees the reason puts a row into `Schedule`, and the scheduler sends
//! the notice. A tenant gets at most one notice of each kind per UTC day.

use std::time::Duration;

use serde_json::{Value, json};

use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::inbox::lease::LeaseId;
use crate::inbox::notice::NoticeEvent;
use crate::inbox::notice_type::{FILLING, QUARANTINED};
use crate::tenant::id::TenantId;
use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// A request for a notice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoticeRequest {
    /// The tenant that gets the notice.
    pub tenant: TenantId,
    /// The UTC day of the notice, counted from the epoch.
    pub day: u64,
    /// The reason for the notice.
    pub reason: Reason,
}

/// The reason for a notice about an inbox. The scheduler looks whether it holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The inbox may hold a large part of the events that it may hold.
    Filling,
    /// An event may be quarantined.
    Quarantined(LastLease),
}

/// The longest time in which an invocation of api takes a lease that it has announced.
const LONGEST_LEASE: Duration = Duration::from_mins(5);

/// A lease that quarantines events, because it is the last allowed one of each. It is announced before it takes them, so it
/// may have taken none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastLease {
    /// The lease; `None` if the version before announced it.
    pub id: Option<LeaseId>,
    /// The events.
    pub events: Vec<EventId>,
    /// When it was announced.
    pub at: Timestamp,
}

impl LastLease {
    /// Returns whether the lease takes no further event: the invocation that announced it has ended.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.at) >= LONGEST_LEASE
    }
}

/// What a notice about an inbox says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// The inbox of this tier holds this number of events.
    Filling(Tier, u64),
    /// This event is quarantined.
    Quarantined(EventId),
}

impl Reason {
    /// Returns the type of the notice.
    #[must_use]
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::Filling => FILLING,
            Self::Quarantined(_) => QUARANTINED,
        }
    }
}

impl NoticeRequest {
    /// Makes the request at `now`.
    #[must_use]
    pub fn new(tenant: &TenantId, reason: Reason, now: Timestamp) -> Self {
        Self { tenant: tenant.clone(), day: now.days(), reason }
    }

    /// Makes the notice. `first_at` is when the first notice of this kind and day was made: a repeat is the same event.
    #[must_use]
    pub fn notice(&self, content: Content, first_at: Timestamp) -> NoticeEvent {
        let event_type = self.reason.event_type();
        let payload: Value = match content {
            Content::Filling(tier, pending) => {
                json!({"pending": pending, "max_pending": tier.limits().undelivered_events})
            }
            Content::Quarantined(event) => json!({"event_id": event.to_string()}),
        };
        NoticeEvent {
            id: EventId::derive(first_at, &format!("{} {event_type} {}", self.tenant, self.day)),
            tenant: self.tenant.clone(),
            event_type: EventType::from_stored(event_type),
            payload: payload.to_string(),
            max_days: u16::MAX,
            not_to: None,
        }
    }
}
