//! The event types of notices.

use crate::endpoint::health::NoticeKind;
use crate::event::event_type::EventType;

/// Events expire soon.
pub const EXPIRING: &str = "inbox.expiring";

/// The inbox fills up.
pub const FILLING: &str = "inbox.filling";

/// An event was quarantined.
pub const QUARANTINED: &str = "inbox.quarantined";

/// The types of all notices.
const ALL: [&str; 6] = [
    NoticeKind::Failing.event_type(),
    NoticeKind::Disabled.event_type(),
    NoticeKind::Recovered.event_type(),
    EXPIRING,
    FILLING,
    QUARANTINED,
];

/// Returns whether notices have this type. A tenant may post events of the same type, which are events like all others.
#[must_use]
pub fn is_notice(event_type: &EventType) -> bool {
    ALL.contains(&event_type.as_str())
}
