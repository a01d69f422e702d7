//! The notice about an endpoint's health, as an event in the tenant's inbox. The notice is first stored with the
//! health of the endpoint. Its id is derived from its content, so a repeat after a crash makes the same event.

use serde_json::json;

use crate::endpoint::Endpoint;
use crate::endpoint::health::Notice;
use crate::event::Event;
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::inbox::Head;
use crate::tenant::id::TenantId;
use crate::tenant::tier::Tier;

impl Notice {
    /// Makes the event of the notice, and its head. No endpoint gets it, so it stays in the inbox.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, tier: Tier, endpoint: &Endpoint) -> (Event, Head) {
        let event_type = self.kind.event_type();
        let payload = json!({
            "endpoint_id": endpoint.id.as_str(),
            "url": endpoint.url,
            "failures": endpoint.health.failures,
            "failing_since": endpoint.health.failing_since.map(|since| since.to_string()),
            "last_error": endpoint.health.last_error,
        });
        let event = Event {
            id: EventId::derive(self.at, &format!("{} {event_type}", endpoint.id)),
            tenant: tenant.clone(),
            tier,
            event_type: EventType::from_stored(event_type),
            payload: payload.to_string(),
            dedup_id: None,
        };
        let head = Head::new(&event, []);
        (event, head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::health::NoticeKind;
    use crate::inbox::Status;
    use crate::testing::{START, endpoint, tenant};

    #[test]
    fn every_kind_of_notice_has_its_own_event_type() {
        for kind in NoticeKind::ALL {
            assert_eq!(NoticeKind::parse(kind.event_type()), Some(kind));
            assert!(EventType::parse(kind.event_type()).is_ok());
        }
        assert_eq!(NoticeKind::parse("endpoint.unknown"), None);
    }

    #[test]
    fn a_repeated_notice_is_the_same_event() {
        let tenant = tenant();
        let notice = Notice { kind: NoticeKind::Failing, at: START };
        let (event, head) = notice.event(&tenant, Tier::Pro, &endpoint(1));
        let (again, _) = notice.event(&tenant, Tier::Pro, &endpoint(1));
        let (other, _) = notice.event(&tenant, Tier::Pro, &endpoint(2));
        assert_eq!((event.id, head.status), (again.id, Status::Pending));
        assert_ne!(event.id, other.id);
        assert_eq!(event.id.accepted_at(), START);
    }
}
