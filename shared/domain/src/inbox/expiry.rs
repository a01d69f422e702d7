//! The notice before undelivered events expire. One event in the inbox is the notice for all events of one batch:
//! those that were accepted within one span of time.
//!
//! ```text
//!   accepted within a span          notice                the first expires     the last expires
//!   |------------------|  ...       |---------------------|---------------------|
//!   accepted_from          + span       + retention - span    + retention           + retention + span
//! ```
//!
//! A span is one day, and shorter if events are kept for less than four days. The span is over when the notice is
//! stored, and the owner then has at least one span of time to read the events.

use std::time::Duration;

use serde_json::json;

use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::inbox::Head;
use crate::inbox::notice::NoticeEvent;
use crate::inbox::notice_type::EXPIRING;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// The largest number of events that a notice counts. With more events, `count_is_exact` is false.
pub const MAX_LOOKED_AT: usize = 1000;

/// The lengths of a span, in hours. The longest that is at most a quarter of the retention is used.
const SPANS_HOURS: [u64; 4] = [24, 12, 6, 1];

const HOUR_MILLIS: u64 = 3_600_000;

/// A batch: the events of a tenant that were accepted within one span and have the same retention.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ExpiryBatch {
    /// The tenant that owns the events.
    pub tenant: TenantId,
    /// The start of the span.
    pub accepted_from: Timestamp,
    /// The retention of the events, in hours.
    pub retention_hours: u64,
}

/// The undelivered events of a batch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UndeliveredEvents {
    /// The ids and types of the events, the oldest first.
    pub events: Vec<(EventId, EventType)>,
    /// Whether these are all undelivered events of the batch.
    pub is_all: bool,
}

impl ExpiryBatch {
    /// Returns the batch of an event.
    #[must_use]
    pub fn of(tenant: &TenantId, head: &Head) -> Self {
        let accepted_at = head.id.accepted_at();
        let kept_for = head.expires_at.millis_since(accepted_at);
        let retention_hours = kept_for.div_ceil(HOUR_MILLIS); // the table keeps the expiry in whole seconds
        let span = span_hours(retention_hours) * HOUR_MILLIS;
        let accepted_from = Timestamp::from_millis(accepted_at.millis() / span * span);
        Self { tenant: tenant.clone(), accepted_from, retention_hours }
    }

    /// Returns the end of the span. It is not part of the span.
    #[must_use]
    pub fn accepted_before(&self) -> Timestamp {
        self.accepted_from.after(self.span())
    }

    /// Returns when the notice is due.
    #[must_use]
    pub fn notice_at(&self) -> Timestamp {
        self.expires_from().before(self.span())
    }

    /// Returns when the last event of the batch has expired.
    #[must_use]
    pub fn expired_at(&self) -> Timestamp {
        self.expires_from().after(self.span())
    }

    /// Makes the notice. Returns `None` if no event is about to expire.
    #[must_use]
    pub fn notice(&self, untaken: &UndeliveredEvents, now: Timestamp) -> Option<NoticeEvent> {
        // 1. Leave out expired events, and notices of this kind.
        let mut expiring: Vec<EventId> = Vec::new();
        for (id, event_type) in &untaken.events {
            if event_type.as_str() != EXPIRING && self.expiry_of(*id) > now {
                expiring.push(*id);
            }
        }
        let oldest = expiring.first()?;
        let newest = expiring.last()?;

        // 2. Make the notice. Its id is derived from the batch, so a repeat makes the same event. It is kept no longer than the
        // events of the batch.
        let last_expires_at = if untaken.is_all { self.expiry_of(*newest) } else { self.expired_at() };
        let payload = json!({
            "day": self.accepted_from.to_string().split('T').next(),
            "count": expiring.len(),
            "count_is_exact": untaken.is_all,
            "oldest_event_id": oldest.to_string(),
            "first_expires_at": self.expiry_of(*oldest).to_string(),
            "last_expires_at": last_expires_at.to_string(),
        });
        Some(NoticeEvent {
            id: EventId::derive(self.notice_at(), &format!("{} {}", self.tenant, self.accepted_from)),
            tenant: self.tenant.clone(),
            event_type: EventType::from_stored(EXPIRING),
            payload: payload.to_string(),
            max_days: u16::try_from(self.retention_hours.div_ceil(24)).unwrap_or(u16::MAX),
            not_to: None,
        })
    }

    fn span(&self) -> Duration {
        Duration::from_hours(span_hours(self.retention_hours))
    }

    fn expires_from(&self) -> Timestamp {
        self.accepted_from.after(Duration::from_hours(self.retention_hours))
    }

    fn expiry_of(&self, event: EventId) -> Timestamp {
        event.accepted_at().after(Duration::from_hours(self.retention_hours))
    }
}

fn span_hours(retention_hours: u64) -> u64 {
    let span = SPANS_HOURS.into_iter().find(|span| 4 * span <= retention_hours);
    span.unwrap_or(SPANS_HOURS[SPANS_HOURS.len() - 1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{START, event, tenant};

    fn cohort(retention_hours: u64) -> ExpiryBatch {
        let event = event(&tenant(), "a", "1", START);
        let expires_at = START.after(Duration::from_hours(retention_hours));
        ExpiryBatch::of(&event.tenant, &Head { expires_at, ..Head::new(&event, []) })
    }

    /// An event of this type that was accepted this number of hours after the start of the span.
    fn accepted(cohort: &ExpiryBatch, hours: u64, event_type: &str) -> (EventId, EventType) {
        let at = cohort.accepted_from.after(Duration::from_hours(hours));
        (event(&cohort.tenant, "a", "1", at).id, EventType::parse(event_type).unwrap())
    }

    #[test]
    fn the_notice_of_a_day_is_due_a_day_before_its_first_event_expires() {
        let cohort = cohort(30 * 24);
        assert_eq!(cohort.accepted_from.to_string(), "2023-11-14T00:00:00.000Z");
        assert_eq!(cohort.notice_at().to_string(), "2023-12-13T00:00:00.000Z");
        assert_eq!(cohort.expired_at().to_string(), "2023-12-15T00:00:00.000Z");
    }

    #[test]
    fn a_new_head_and_a_stored_head_are_in_the_same_batch() {
        let event = event(&tenant(), "a", "1", Timestamp::from_millis(START.millis() + 123));
        let head = Head::new(&event, []);
        let read = Head { expires_at: Timestamp::from_seconds(head.expires_at.seconds()), ..head.clone() };
        assert_eq!(ExpiryBatch::of(&event.tenant, &head), ExpiryBatch::of(&event.tenant, &read));
    }

    #[test]
    fn the_notice_counts_expiring_events_only_and_is_one_event() {
        let cohort = cohort(7 * 24);
        let events =
            vec![accepted(&cohort, 1, "a"), accepted(&cohort, 2, EXPIRING), accepted(&cohort, 23, "b")];
        let all = UndeliveredEvents { events: events.clone(), is_all: true };
        let notice = cohort.notice(&all, cohort.notice_at()).unwrap();
        assert_eq!((notice.event_type.as_str(), notice.max_days), (EXPIRING, 7));
        assert_eq!(notice.id.accepted_at(), cohort.notice_at());
        let payload: serde_json::Value = serde_json::from_str(&notice.payload).unwrap();
        let expected = json!({"day": "2023-11-14", "count": 2, "count_is_exact": true,
            "oldest_event_id": events[0].0.to_string(), "first_expires_at": "2023-11-21T01:00:00.000Z",
            "last_expires_at": "2023-11-21T23:00:00.000Z"});
        assert_eq!(payload, expected);
        let later = cohort.notice(&all, cohort.expired_at().before(Duration::from_hours(2))).unwrap();
        assert_eq!(later.id, notice.id, "it is the same event");
        assert!(later.payload.contains(r#""count":1"#), "an expired event does not count: {}", later.payload);

        let some = UndeliveredEvents { is_all: false, ..all };
        let partial = cohort.notice(&some, cohort.notice_at()).unwrap();
        assert!(
            partial.payload.contains(r#""last_expires_at":"2023-11-22T00:00:00.000Z""#),
            "{}",
            partial.payload
        );
        let own = UndeliveredEvents { events: events[1..2].to_vec(), is_all: true };
        assert_eq!(cohort.notice(&own, cohort.notice_at()), None);
        assert_eq!(cohort.notice(&some, cohort.expired_at()), None);
    }

    proptest! {
        #[test]
        fn every_notice_leaves_time_and_covers_its_whole_batch(days in 1u64..=90, accepted_at in 0u64..1 << 42) {
            let event = event(&tenant(), "a", "1", Timestamp::from_millis(accepted_at));
            let expires_at = event.id.accepted_at().after(Duration::from_hours(24 * days));
            let cohort = ExpiryBatch::of(&event.tenant, &Head { expires_at, ..Head::new(&event, []) });
            let from = cohort.accepted_from;
            let before = cohort.accepted_before();
            prop_assert!(from.millis() <= accepted_at && accepted_at < before.millis());
            prop_assert!(before <= cohort.notice_at(), "the span is over when the notice is due");
            let left = expires_at.since(cohort.notice_at());
            prop_assert!(left >= Duration::from_hours(6) && left >= before.since(from));
            prop_assert!(left <= Duration::from_hours(48) && expires_at <= cohort.expired_at());
        }
    }
}
