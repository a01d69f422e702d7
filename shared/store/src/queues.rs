//! The queues `events` and `deliveries`.

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

/// A message for a delivery, and its delay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delayed {
    /// The message.
    pub message: DeliveryMessage,
    /// The time from sending until the message is visible.
    pub delay: Duration,
}

impl Delayed {
    /// Returns a message without a delay.
    #[must_use]
    pub fn at_once(message: DeliveryMessage) -> Self {
        Self { message, delay: Duration::ZERO }
    }
}

impl<Q: Queue> EventsQueue<Q> {
    /// Returns a sender to this queue.
    pub fn new(queue: Q) -> Self {
        Self { queue }
    }

    /// Sends accepted events; returns one result for each event, in order. `Ok` means that the queue confirmed the
    /// event.
    pub async fn send(&self, events: &[Event]) -> Vec<PortResult<()>> {
        // 1. Compress each event. An event that cannot be compressed is not sent.
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
        // 2. Send the others, and put the answer of the queue in the place of each.
        let mut sent = self.queue.send(&messages).await.into_iter();
        for result in results.iter_mut().filter(|result| result.is_ok()) {
            *result = sent.next().unwrap_or_else(|| Err(Unavailable::new("SendMessageBatch", "no answer")));
        }
        results
    }
}

impl<Q: Queue> DeliveriesQueue<Q> {
    /// Returns a sender to this queue.
    pub fn new(queue: Q) -> Self {
        Self { queue }
    }

    /// Sends messages with their delays. A message may be sent twice.
    ///
    /// # Errors
    /// When the queue did not confirm every message. Some messages may be sent then.
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
