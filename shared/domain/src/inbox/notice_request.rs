//! Requests for a notice about an inbox. The function that sees the reason puts a row into `Schedule`, and the scheduler sends
//! the notice. A tenant gets at most one notice of each kind per UTC day.

use serde_json::{Value, json};

use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::inbox::notice::NoticeEvent;
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

/// The reason for a notice about an inbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The inbox holds a large part of the events that it may hold.
    Filling,
    /// This event was quarantined.
    Quarantined(EventId),
}

impl Reason {
    /// The type of the notice that an inbox fills up.
    pub const FILLING: &str = "inbox.filling";

    /// The type of the notice that an event was quarantined.
    pub const QUARANTINED: &str = "inbox.quarantined";

    /// Returns the type of the notice.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Filling => Self::FILLING,
            Self::Quarantined(_) => Self::QUARANTINED,
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
    /// `pending` is the number of events in the inbox.
    #[must_use]
    pub fn notice(&self, tier: Tier, pending: u64, first_at: Timestamp) -> NoticeEvent {
        let event_type = self.reason.event_type();
        let payload: Value = match self.reason {
            Reason::Filling => json!({"pending": pending, "max_pending": tier.limits().undelivered_events}),
            Reason::Quarantined(event) => json!({"event_id": event.to_string()}),
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
