//! Notices: events that the service itself stores for a tenant. The id of a notice is derived from its content,
//! so a repeat after a crash makes the same event.
//!
//! A notice also goes to the healthy endpoints with a pattern that names it, such as `endpoint.*` or `inbox.expiring`. The
//! pattern `*` asks for the tenant's own events, and names no notice.

use serde_json::json;

use crate::delivery::Bypass;
use crate::delivery::gate::{Gate, gate};
use crate::endpoint::Endpoint;
use crate::endpoint::health::{Notice, NoticeKind};
use crate::endpoint::id::EndpointId;
use crate::endpoint::pattern::Pattern;
use crate::event::Event;
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::inbox::Head;
use crate::inbox::notice_type::is_notice;
use crate::tenant::id::TenantId;
use crate::tenant::tier::Tier;

/// Returns the pattern by which an endpoint gets notices of this type: it names the type, and the endpoint gets requests now.
#[must_use]
pub fn pattern_of_recipient<'e>(endpoint: &'e Endpoint, event_type: &EventType) -> Option<&'e Pattern> {
    endpoint.naming_pattern(event_type).filter(|_| gate(endpoint, Bypass::None) == Gate::Open)
}

/// Returns whether a stored event is one that the endpoint gets. A notice is, if a pattern names it or if the endpoint
/// got it, as it gets what the tenant itself posts under the type of a notice.
#[must_use]
pub fn is_sample(endpoint: &Endpoint, head: &Head) -> bool {
    if is_notice(&head.event_type) && !head.deliveries.contains_key(&endpoint.id) {
        return endpoint.naming_pattern(&head.event_type).is_some();
    }
    endpoint.matches(&head.event_type)
}

/// A notice before it is stored: its event without the tier, and what decides who gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoticeEvent {
    /// The id, derived from the content.
    pub id: EventId,
    /// The tenant that gets the notice.
    pub tenant: TenantId,
    /// The type.
    pub event_type: EventType,
    /// The payload, as JSON.
    pub payload: String,
    /// The longest time in days that the notice is kept.
    pub max_days: u16,
    /// The endpoint that does not get the notice: it is the one that fails.
    pub not_to: Option<EndpointId>,
}

impl NoticeEvent {
    /// Makes the event and its head, with an open delivery for each endpoint that gets the notice.
    #[must_use]
    pub fn into_event(self, tier: Tier, endpoints: &[Endpoint]) -> (Event, Head) {
        let recipients: Vec<EndpointId> = endpoints
            .iter()
            .filter(|endpoint| self.is_for(endpoint))
            .map(|endpoint| endpoint.id.clone())
            .collect();
        let event = Event {
            id: self.id,
            tenant: self.tenant,
            tier,
            event_type: self.event_type,
            payload: self.payload,
            dedup_id: None,
            trace: None,
        };
        let head = Head::new(&event, recipients).limit_retention(self.max_days);
        (event, head)
    }

    /// Returns whether the endpoint gets the notice.
    fn is_for(&self, endpoint: &Endpoint) -> bool {
        pattern_of_recipient(endpoint, &self.event_type).is_some()
            && self.not_to.as_ref() != Some(&endpoint.id)
    }
}

impl Notice {
    /// Makes the event of a notice about this endpoint. An endpoint gets no notice that it fails itself, because it
    /// would not arrive.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, endpoint: &Endpoint) -> NoticeEvent {
        let event_type = self.kind.event_type();
        let payload = json!({
            "endpoint_id": endpoint.id.as_str(),
            "url": endpoint.url,
            "failures": endpoint.health.failures,
            "failing_since": endpoint.health.failing_since.map(|since| since.to_string()),
            "last_error": endpoint.health.last_error,
        });
        NoticeEvent {
            id: EventId::derive(self.at, &format!("{} {event_type}", endpoint.id)),
            tenant: tenant.clone(),
            event_type: EventType::from_stored(event_type),
            payload: payload.to_string(),
            max_days: u16::MAX,
            not_to: match self.kind {
                NoticeKind::Failing | NoticeKind::Disabled => Some(endpoint.id.clone()),
                NoticeKind::Recovered => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointState;
    use crate::endpoint::health::Open;
    use crate::inbox::Status;
    use crate::testing::{START, endpoint, tenant};

    /// An endpoint that gets every notice.
    fn listener(number: u8) -> Endpoint {
        let event_types = ["endpoint.*", "inbox.*"].map(Pattern::from_stored).into();
        Endpoint { event_types, ..endpoint(number) }
    }

    fn failing(endpoint: &Endpoint) -> NoticeEvent {
        Notice { kind: NoticeKind::Failing, at: START }.event(&tenant(), endpoint)
    }

    #[test]
    fn every_kind_of_notice_has_its_own_event_type() {
        for kind in NoticeKind::ALL {
            assert_eq!(NoticeKind::parse(kind.event_type()), Some(kind));
            assert!(is_notice(&EventType::parse(kind.event_type()).unwrap()));
        }
        assert_eq!(NoticeKind::parse("endpoint.unknown"), None);
    }

    #[test]
    fn a_repeated_notice_is_the_same_event() {
        let notice = failing(&endpoint(1));
        assert_eq!(failing(&endpoint(1)).id, notice.id);
        assert_ne!(failing(&endpoint(2)).id, notice.id);
        assert_eq!(notice.id.accepted_at(), START);
        let (_, head) = notice.into_event(Tier::Pro, &[endpoint(1)]);
        assert_eq!((head.status, head.deliveries.len()), (Status::Pending, 0));
    }

    #[test]
    fn a_notice_goes_to_the_healthy_endpoints_whose_patterns_name_it() {
        let open = Open { probes: 0, next_probe_at: START, last_probed: None };
        let mut broken = listener(4);
        broken.health.open = Some(open);
        let endpoints = [
            endpoint(1), // `*`
            listener(2),
            Endpoint { is_paused: true, ..listener(3) },
            broken,
            Endpoint { state: EndpointState::Disabled, ..listener(5) },
            Endpoint { event_types: vec![Pattern::from_stored("inbox.*")], ..endpoint(6) },
        ];
        let (_, head) = failing(&endpoint(9)).into_event(Tier::Pro, &endpoints);
        assert_eq!(head.deliveries.keys().collect::<Vec<_>>(), [&endpoint(2).id]);
        assert_eq!(head.status, Status::Delivering);
    }

    #[test]
    fn an_endpoint_gets_no_notice_that_it_fails_but_one_that_it_works_again() {
        for kind in NoticeKind::ALL {
            let notice = Notice { kind, at: START }.event(&tenant(), &listener(1));
            let (_, head) = notice.into_event(Tier::Pro, &[listener(1)]);
            assert_eq!(head.deliveries.len(), usize::from(kind == NoticeKind::Recovered), "{kind:?}");
        }
    }
}
