//! What is sent through the queues `events` and `deliveries`.

use std::time::Duration;

use domain::delivery::DeliveryMessage;
use domain::event::Event;

use crate::envelope::{delivery_body, event_body};
use crate::queue::{Outgoing, Queue};
use crate::unavailable::{PortResult, Unavailable};

/// The queue `events`.
#[derive(Clone, Debug)]
pub struct EventsQueue<Q> {
    queue: Q,
}

/// The queue `deliveries`.
#[derive(Clone, Debug)]
pub struct DeliveriesQueue<Q> {
    queue: Q,
}

/// A message about a delivery, and how long after it is sent it arrives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delayed {
    /// The message.
    pub message: DeliveryMessage,
    /// The delay.
    pub delay: Duration,
}

impl Delayed {
    /// Returns a message that arrives at once.
    #[must_use]
    pub fn not(message: DeliveryMessage) -> Self {
        Self { message, delay: Duration::ZERO }
    }
}

impl<Q: Queue> EventsQueue<Q> {
    /// Sends through this queue.
    pub fn new(queue: Q) -> Self {
        Self { queue }
    }

    /// Sends accepted events; returns one result for each, in order. `Ok` means that the queue confirmed the event.
    pub async fn send(&self, events: &[Event]) -> Vec<PortResult<()>> {
        let mut results: Vec<PortResult<()>> = Vec::with_capacity(events.len());
        let mut messages = Vec::with_capacity(events.len());
        for event in events {
            match event_body(event) {
                Ok(body) => {
                    messages.push(Outgoing { tenant: event.tenant.clone(), body, delay: Duration::ZERO });
                    results.push(Ok(()));
                }
                Err(error) => results.push(Err(Unavailable::new("compressing an event", error))),
            }
        }
        let mut sent = self.queue.send(&messages).await.into_iter();
        for result in results.iter_mut().filter(|result| result.is_ok()) {
            *result = sent.next().unwrap_or_else(|| Err(Unavailable::new("SendMessageBatch", "no answer")));
        }
        results
    }
}

impl<Q: Queue> DeliveriesQueue<Q> {
    /// Sends through this queue.
    pub fn new(queue: Q) -> Self {
        Self { queue }
    }

    /// Sends messages that arrive after their delays. Sending one twice is harmless.
    ///
    /// # Errors
    /// Where the queue did not confirm every message; some may be sent then.
    pub async fn send(&self, messages: &[Delayed]) -> PortResult<()> {
        let outgoing: Vec<Outgoing> = messages
            .iter()
            .map(|Delayed { message, delay }| Outgoing {
                tenant: message.tenant.clone(),
                body: delivery_body(message),
                delay: *delay,
            })
            .collect();
        self.queue.send(&outgoing).await.into_iter().collect()
    }
}
