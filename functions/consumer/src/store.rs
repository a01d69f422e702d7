//! Stores one event once, and makes a message for each endpoint that has no recorded attempt ([`Events::store`]).
//!
//! All steps are safe to repeat: the conditional put decides which process stores the event, and a second message for the
//! same attempt changes nothing. Only events of an erased tenant are dropped. After any failure, SQS makes the message of
//! the event visible again.

use domain::delivery::lane::Lane;
use domain::endpoint::Endpoint;
use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::expiry::ExpiryBatch;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use store::control::tenants::TenantSettings;
use store::events;
use store::events::Events;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::PortResult;

/// The result of one message.
#[derive(Clone, Default)]
pub(crate) struct Stored {
    /// The delivery messages to send before the message of the event is deleted.
    pub(crate) messages: Vec<Delayed>,
    /// The event and its tenant; `None` if no event is stored.
    pub(crate) event: Option<(TenantId, EventId)>,
    /// The tier of the tenant.
    pub(crate) tier: Tier,
    /// The batch with which the event expires; `None` if the event is not in the inbox.
    pub(crate) expiry_batch: Option<ExpiryBatch>,
    /// Whether this message stored the event. It is false for an event that existed before.
    pub(crate) is_new: bool,
    /// Whether the message was unreadable, and is kept for an operator.
    pub(crate) is_unreadable: bool,
}

impl Stored {
    /// Stores an event with an open delivery for each matching endpoint, in the inbox if the lane of one of them is late. The
    /// shorter retention counts, that of the tier or that of the tenant.
    pub(crate) async fn store<P: Ports>(
        events: &Events<P>,
        event: &Event,
        settings: &TenantSettings,
        late: &[Lane],
        now: Timestamp,
    ) -> PortResult<Self> {
        let matching: Vec<&Endpoint> =
            settings.endpoints.iter().filter(|endpoint| endpoint.matches(&event.event_type)).collect();
        let is_late = matching.iter().any(|endpoint| late.contains(&Lane::of(Some(endpoint), now)));
        let endpoints = matching.into_iter().map(|endpoint| endpoint.id.clone());
        let retention_days = settings.retention_days.unwrap_or(u16::MAX);
        let head = Head::new(event, endpoints).for_inbox(settings.inbox).limit_retention(retention_days);
        let head = if is_late { head.from_birth() } else { head };
        let events::Stored { head, is_new, messages } = events.store(event, head).await?;
        tracing::debug!(step = "stored", event = %event.id, trace = event.trace.map(display), new = is_new, deliveries = messages.len());
        let messages: Vec<_> = messages.into_iter().map(|message| message.traced(event.trace)).collect();
        Ok(Self {
            messages: Delayed::by_lane(messages, &settings.endpoints, now),
            event: Some((event.tenant.clone(), event.id)),
            tier: event.tier,
            expiry_batch: head.in_inbox.then(|| ExpiryBatch::of(&event.tenant, &head)),
            is_new,
            is_unreadable: false,
        })
    }

    /// Returns whether a delivery message counts the event for its tenant.
    pub(crate) fn is_counted_by_delivery(&self) -> bool {
        self.messages.iter().any(|sent| sent.message.counts_event)
    }

    /// Makes the result for an event of an erased tenant: the event is not stored.
    pub(crate) fn dropped(event: &Event) -> Self {
        tracing::debug!(step = "dropped", event = %event.id);
        Self::default()
    }

    /// Makes the result for an unreadable message that was kept.
    pub(crate) fn unreadable() -> Self {
        Self { is_unreadable: true, ..Self::default() }
    }
}
