//! Before events that nobody took run out of retention, their owner is told: by one event in the inbox for all that were
//! accepted within one span of time.
//!
//! ```text
//!   accepted within a span          told                  the first expires     the last expires
//!   |------------------|  ...       |---------------------|---------------------|
//!   born_from          + span       + retention - span    + retention           + retention + span
//! ```
//!
//! A span is a day, and shorter where events are kept for less than four days: so it is over for long when its owner is told,
//! whatever the retention, and the owner has at least as long as the span to do something about it.

use std::time::Duration;

use serde_json::json;

use crate::event::Event;
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::inbox::Head;
use crate::tenant::id::TenantId;
use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// The type of the event that tells it.
pub const EVENT_TYPE: &str = "inbox.expiring";

/// The most events of a span that are looked at; of more, it is told that there are more.
pub const MAX_LOOKED_AT: usize = 1000;

/// Spans by which events are put together, in hours: the longest that is no more than a quarter of their retention counts.
const SPANS_HOURS: [u64; 4] = [24, 12, 6, 1];

const HOUR_MILLIS: u64 = 3_600_000;

/// A tenant's events that were accepted within one span, and are kept equally long.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Cohort {
    /// Whose events.
    pub tenant: TenantId,
    /// Where the span begins.
    pub born_from: Timestamp,
    /// How long each of them is kept, in hours.
    pub retention_hours: u64,
}

/// What is found of a cohort in the inbox.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Untaken {
    /// Events and their types, the oldest first.
    pub events: Vec<(EventId, EventType)>,
    /// Whether there are no others.
    pub is_all: bool,
}

impl Cohort {
    /// That of an event.
    #[must_use]
    pub fn of(tenant: &TenantId, head: &Head) -> Self {
        let accepted_at = head.id.accepted_at();
        let kept_for = head.expires_at.millis_since(accepted_at);
        let retention_hours = kept_for.div_ceil(HOUR_MILLIS); // a head that was read ends at a whole second
        let span = span_hours(retention_hours) * HOUR_MILLIS;
        let born_from = Timestamp::from_millis(accepted_at.millis() / span * span);
        Self { tenant: tenant.clone(), born_from, retention_hours }
    }

    /// Where the span ends: this moment is no longer in it.
    #[must_use]
    pub fn born_before(&self) -> Timestamp {
        self.born_from.after(self.span())
    }

    /// When its owner is told.
    #[must_use]
    pub fn warn_at(&self) -> Timestamp {
        self.expires_from().before(self.span())
    }

    /// When the last of them has expired.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.expires_from().after(self.span())
    }

    /// The event that tells of those that nobody took, and its head: no endpoint gets it, so that it waits for its tenant.
    /// `None` where there is nothing to be told.
    #[must_use]
    pub fn notice(&self, tier: Tier, untaken: &Untaken, now: Timestamp) -> Option<(Event, Head)> {
        // 1. Leave out expired events and other notices.
        let mut expiring: Vec<EventId> = Vec::new();
        for (id, event_type) in &untaken.events {
            if event_type.as_str() != EVENT_TYPE && self.expiry_of(*id) > now {
                expiring.push(*id);
            }
        }
        let oldest = expiring.first()?;
        let newest = expiring.last()?;

        // 2. Write the notice. Its id follows from the batch, so that a repeat is the same event.
        let last_expires_at = if untaken.is_all { self.expiry_of(*newest) } else { self.ends_at() };
        let payload = json!({
            "day": self.born_from.to_string().split('T').next(),
            "count": expiring.len(),
            "count_is_exact": untaken.is_all,
            "oldest_event_id": oldest.to_string(),
            "first_expires_at": self.expiry_of(*oldest).to_string(),
            "last_expires_at": last_expires_at.to_string(),
        });
        let event = Event {
            id: EventId::derived(self.warn_at(), &format!("{} {}", self.tenant, self.born_from)),
            tenant: self.tenant.clone(),
            tier,
            event_type: EventType::from_stored(EVENT_TYPE),
            payload: payload.to_string(),
            dedup_id: None,
        };

        // 3. Keep the notice no longer than the events of the batch are kept.
        let days = u16::try_from(self.retention_hours.div_ceil(24)).unwrap_or(u16::MAX);
        let head = Head::new(&event, []).kept_at_most(days);
        Some((event, head))
    }

    fn span(&self) -> Duration {
        Duration::from_hours(span_hours(self.retention_hours))
    }

    fn expires_from(&self) -> Timestamp {
        self.born_from.after(Duration::from_hours(self.retention_hours))
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
    use crate::inbox::Status;
    use crate::testing::{START, event, tenant};

    fn cohort(retention_hours: u64) -> Cohort {
        let event = event(&tenant(), "a", "1", START);
        let expires_at = START.after(Duration::from_hours(retention_hours));
        Cohort::of(&event.tenant, &Head { expires_at, ..Head::new(&event, []) })
    }

    /// An event of this type that was accepted this many hours after the span began.
    fn born(cohort: &Cohort, hours: u64, event_type: &str) -> (EventId, EventType) {
        let at = cohort.born_from.after(Duration::from_hours(hours));
        (event(&cohort.tenant, "a", "1", at).id, EventType::parse(event_type).unwrap())
    }

    #[test]
    fn events_of_a_day_are_told_of_a_day_before_the_first_of_them_ends() {
        let cohort = cohort(30 * 24);
        assert_eq!(cohort.born_from.to_string(), "2023-11-14T00:00:00.000Z");
        assert_eq!(cohort.warn_at().to_string(), "2023-12-13T00:00:00.000Z");
        assert_eq!(cohort.ends_at().to_string(), "2023-12-15T00:00:00.000Z");
    }

    #[test]
    fn events_of_one_day_are_one_cohort_whether_their_head_was_just_made_or_read() {
        let event = event(&tenant(), "a", "1", Timestamp::from_millis(START.millis() + 123));
        let head = Head::new(&event, []);
        let read = Head { expires_at: Timestamp::from_seconds(head.expires_at.seconds()), ..head.clone() };
        assert_eq!(Cohort::of(&event.tenant, &head), Cohort::of(&event.tenant, &read));
    }

    #[test]
    fn what_expires_is_told_once_and_of_nothing_else() {
        let cohort = cohort(7 * 24);
        let events = vec![born(&cohort, 1, "a"), born(&cohort, 2, EVENT_TYPE), born(&cohort, 23, "b")];
        let all = Untaken { events: events.clone(), is_all: true };
        let (told, head) = cohort.notice(Tier::Free, &all, cohort.warn_at()).unwrap();
        assert_eq!((told.event_type.as_str(), head.status), (EVENT_TYPE, Status::Pending));
        assert_eq!(told.id.accepted_at(), cohort.warn_at());
        let payload: serde_json::Value = serde_json::from_str(&told.payload).unwrap();
        let expected = json!({"day": "2023-11-14", "count": 2, "count_is_exact": true,
            "oldest_event_id": events[0].0.to_string(), "first_expires_at": "2023-11-21T01:00:00.000Z",
            "last_expires_at": "2023-11-21T23:00:00.000Z"});
        assert_eq!(payload, expected);
        let later =
            cohort.notice(Tier::Free, &all, cohort.ends_at().before(Duration::from_hours(2))).unwrap().0;
        assert_eq!(later.id, told.id, "it is the same event");
        assert!(later.payload.contains(r#""count":1"#), "what has ended is not about to: {}", later.payload);

        let some = Untaken { is_all: false, ..all };
        let (told, _) = cohort.notice(Tier::Free, &some, cohort.warn_at()).unwrap();
        assert!(told.payload.contains(r#""last_expires_at":"2023-11-22T00:00:00.000Z""#), "{}", told.payload);
        let own = Untaken { events: events[1..2].to_vec(), is_all: true };
        assert_eq!(cohort.notice(Tier::Free, &own, cohort.warn_at()), None);
        assert_eq!(cohort.notice(Tier::Free, &some, cohort.ends_at()), None);
    }

    proptest! {
        #[test]
        fn whoever_is_told_has_time_and_knows_of_all(days in 1u64..=90, born in 0u64..1 << 42) {
            let event = event(&tenant(), "a", "1", Timestamp::from_millis(born));
            let expires_at = event.id.accepted_at().after(Duration::from_hours(24 * days));
            let cohort = Cohort::of(&event.tenant, &Head { expires_at, ..Head::new(&event, []) });
            let from = cohort.born_from;
            let before = cohort.born_before();
            prop_assert!(from.millis() <= born && born < before.millis());
            prop_assert!(before <= cohort.warn_at(), "the span is over when its owner is told");
            let left = expires_at.since(cohort.warn_at());
            prop_assert!(left >= Duration::from_hours(6) && left >= before.since(from));
            prop_assert!(left <= Duration::from_hours(48) && expires_at <= cohort.ends_at());
        }
    }
}
