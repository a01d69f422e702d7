//! The queue `events`, the lanes of deliveries, and the queue `drains`.

use std::time::Duration;

use domain::delivery::DeliveryMessage;
use domain::delivery::lane::Lane;
use domain::delivery::share::Share;
use domain::endpoint::Endpoint;
use domain::event::Event;
use domain::timestamp::Timestamp;
use futures_util::future::join;

use crate::envelope::{delivery_body, event_body, share_body};
use crate::queue::{Outgoing, Queue};
use crate::unavailable::{PortResult, Unavailable};

/// The queue `events`.
#[derive(Clone, Debug)]
pub struct EventsQueue<Q> {
    queue: Q,
}

/// The lanes of deliveries: the queues `deliveries` and `deliveries-slow`.
#[derive(Clone, Debug)]
pub struct Lanes<Q> {
    quick: Q,
    slow: Q,
}

/// The queue `drains`: the shares of the endpoints with parked deliveries.
#[derive(Clone, Debug)]
pub struct DrainsQueue<Q> {
    queue: Q,
}

/// A message for a delivery, its lane and its delay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delayed {
    /// The message.
    pub message: DeliveryMessage,
    /// The lane.
    pub lane: Lane,
    /// The time from sending until the message is visible.
    pub delay: Duration,
}

impl Delayed {
    /// Returns a message without a delay.
    #[must_use]
    pub fn at_once(message: DeliveryMessage, lane: Lane) -> Self {
        Self { message, lane, delay: Duration::ZERO }
    }

    /// Returns messages without a delay, each by the lane of its endpoint, which is one of these.
    pub fn by_lane(
        messages: impl IntoIterator<Item = DeliveryMessage>,
        endpoints: &[Endpoint],
        now: Timestamp,
    ) -> Vec<Self> {
        let by_lane = |message: DeliveryMessage| {
            let lane = Lane::among(endpoints, &message.endpoint, now);
            Self::at_once(message, lane)
        };
        messages.into_iter().map(by_lane).collect()
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

impl<Q: Queue> Lanes<Q> {
    /// Returns a sender to these queues.
    pub fn new(quick: Q, slow: Q) -> Self {
        Self { quick, slow }
    }

    /// Returns the queue of a lane.
    #[must_use]
    pub fn queue(&self, lane: Lane) -> &Q {
        match lane {
            Lane::Quick => &self.quick,
            Lane::Slow => &self.slow,
        }
    }

    /// Sends messages with their delays, each by its lane. A message may be sent twice.
    ///
    /// # Errors
    /// When a queue did not confirm every message. Some messages may be sent then.
    pub async fn send(&self, messages: &[Delayed]) -> PortResult<()> {
        let (quick, slow) =
            join(self.send_by(Lane::Quick, messages), self.send_by(Lane::Slow, messages)).await;
        quick.and(slow)
    }

    async fn send_by(&self, lane: Lane, messages: &[Delayed]) -> PortResult<()> {
        let of_lane = messages.iter().filter(|message| message.lane == lane);
        let outgoing: Vec<Outgoing> = of_lane
            .map(|Delayed { message, delay, .. }| Outgoing {
                tenant: message.tenant.clone(),
                body: delivery_body(message),
                delay: *delay,
            })
            .collect();
        if outgoing.is_empty() {
            return Ok(());
        }
        self.queue(lane).send(&outgoing).await.into_iter().collect()
    }
}

impl<Q: Queue> DrainsQueue<Q> {
    /// Returns a sender to this queue.
    pub fn new(queue: Q) -> Self {
        Self { queue }
    }

    /// Sends shares. The group of a message is the tenant of its first endpoint.
    ///
    /// # Errors
    /// When the queue did not confirm every message. Some messages may be sent then.
    pub async fn send(&self, shares: &[Share]) -> PortResult<()> {
        let outgoing = shares.iter().filter_map(|share| {
            let tenant = share.endpoints.first()?.tenant.clone();
            Some(Outgoing { tenant, body: share_body(share), delay: Duration::ZERO })
        });
        let outgoing: Vec<Outgoing> = outgoing.collect();
        self.queue.send(&outgoing).await.into_iter().collect()
    }
}
