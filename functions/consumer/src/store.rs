//! One event: stored once, and a message for each endpoint whose first attempt nobody recorded.
//!
//! ```text
//!   put head, condition: not there
//!     |-- new ------------> messages for every match, marked fresh
//!     `-- there already --> messages for every entry that is open and without_attempt: whoever stored it
//!                           may have died before sending them
//! ```
//!
//! Everything here may run twice: the put decides who was first, and a second message of an attempt does nothing.
//! Nothing is dropped but what belongs to an erased tenant: whatever fails makes the queue give the event out again.

use domain::delivery::DeliveryMessage;
use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::expiry::ExpiryBatch;
use domain::tenant::id::TenantId;
use store::control::tenants::TenantSettings;
use store::events::{Events, Inserted};
use store::ports::Ports;
use store::unavailable::PortResult;

/// What became of one message.
#[derive(Clone)]
pub(crate) struct Stored {
    /// Delivery messages that must be sent before the event's own message may be deleted.
    pub(crate) messages: Vec<DeliveryMessage>,
    /// Whose event, and which; none for what was no event.
    pub(crate) event: Option<(TenantId, EventId)>,
    /// With which others it will expire; none where nobody needs to be told.
    pub(crate) cohort: Option<ExpiryBatch>,
    /// Whether this put created the event.
    pub(crate) is_new: bool,
    /// Whether it was no event at all, and is kept for a human.
    pub(crate) is_unreadable: bool,
}

impl Stored {
    /// Stores an event with an open delivery for each endpoint that wants it, for as long as tier and tenant both keep it.
    pub(crate) async fn store<P: Ports>(
        events: &Events<P>,
        event: &Event,
        settings: &TenantSettings,
    ) -> PortResult<Self> {
        let matches = settings.endpoints.iter().filter(|endpoint| endpoint.matches(&event.event_type));
        let born = Head::new(event, matches.map(|endpoint| endpoint.id.clone()))
            .limit_retention(settings.retention_days.unwrap_or(u16::MAX));
        let (head, is_new) = match events.insert(event, &born).await? {
            Inserted::New => (born, true),
            Inserted::Existing(head) => (*head, false),
        };
        let without_attempt = head.without_attempt();
        let messages: Vec<_> = without_attempt
            .map(|(endpoint, delivery)| {
                DeliveryMessage::first(&event.tenant, event.id, endpoint, delivery, is_new)
            })
            .collect();
        tracing::debug!(step = "stored", event = %event.id, new = is_new, deliveries = messages.len());
        let cohort = head.status.is_in_inbox().then(|| ExpiryBatch::of(&event.tenant, &head));
        let event = Some((event.tenant.clone(), event.id));
        Ok(Self { messages, event, cohort, is_new, is_unreadable: false })
    }

    /// Leaves nothing of an event whose tenant is erased: it was accepted before, and everything of that tenant is to go.
    pub(crate) fn dropped(event: &Event) -> Self {
        tracing::debug!(step = "dropped", event = %event.id);
        Self { messages: Vec::new(), event: None, cohort: None, is_new: false, is_unreadable: false }
    }

    /// What a message that nobody can read leaves behind.
    pub(crate) fn unreadable() -> Self {
        Self { messages: Vec::new(), event: None, cohort: None, is_new: false, is_unreadable: true }
    }
}
