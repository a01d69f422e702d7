//! Sends notices: stores each as an event of its tenant, once, and sends its first messages to the endpoints that get it.
//!
//! Storing and sending follow the rule of consumer ([`Events::store`]). A caller keeps what it derives the notice from until
//! [`Notices::send`] has returned, and sends the same notice again after a crash: then it is stored already, and the
//! messages that were not sent are sent.

use domain::inbox::notice::NoticeEvent;

use crate::clock::Clock;
use crate::control::Control;
use crate::events::{Events, Stored};
use crate::ports::Ports;
use crate::queues::{Delayed, Lanes};
use crate::unavailable::PortResult;

/// Sends notices to tenants.
#[derive(Clone)]
pub struct Notices<P: Ports> {
    control: Control<P::Table>,
    events: Events<P>,
    deliveries: Lanes<P::Queue>,
    clock: P::Clock,
}

/// How sending a notice ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// The notice is stored now.
    New {
        /// Whether it is in the inbox. It is not while its first attempts at endpoints are under way.
        in_inbox: bool,
    },
    /// The notice was stored before, and its messages are sent.
    Again,
    /// The tenant is unknown or erased, so nothing is stored.
    ToNobody,
}

impl<P: Ports> Notices<P> {
    /// Returns the sender over these stores.
    pub fn new(
        control: Control<P::Table>,
        events: Events<P>,
        deliveries: Lanes<P::Queue>,
        clock: P::Clock,
    ) -> Self {
        Self { control, events, deliveries, clock }
    }

    /// Sends a notice.
    ///
    /// # Errors
    /// When a table, KMS or the queue does not answer. The notice may be stored then, and must be sent again.
    pub async fn send(&self, notice: NoticeEvent) -> PortResult<Sent> {
        // 1. Read the endpoints. The read is consistent, so that a new endpoint gets the next notice.
        let settings = self.control.settings(&notice.tenant).await?;
        let Some(tier) = settings.tier else { return Ok(Sent::ToNobody) };

        // 2. Store the event, once.
        let (event, head) = notice.into_event(tier, &settings.endpoints);
        let head = head.limit_retention(settings.retention_days.unwrap_or(u16::MAX));
        let Stored { head, is_new, messages } = self.events.store(&event, head).await?;

        // 3. Send the first messages.
        let uncounted = messages.into_iter().map(|message| message.counting_event(false)); // no client accepted it
        let messages = Delayed::by_lane(uncounted, &settings.endpoints, self.clock.now());
        self.deliveries.send(&messages).await?;
        Ok(if is_new { Sent::New { in_inbox: head.in_inbox } } else { Sent::Again })
    }
}
