//! Queues in memory: messages wait, are taken, come again until they are deleted, and carry real bodies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};

use tokio::task::yield_now;

use crate::adapters::queues::envelope::{delivery_body, event_body};
use crate::ports::{Clock, Delayed, DeliveryQueue, EventQueue, SourceQueue};
use crate::testing::clock::FixedClock;
use crate::testing::faults::Faults;
use crate::unavailable::{PortResult, Unavailable};
use domain::delivery::schedule::MAX_DELAY;
use domain::event::Event;
use domain::timestamp::Timestamp;

/// A queue in memory.
#[derive(Clone)]
pub struct MemoryQueue {
    faults: Faults,
    clock: FixedClock,
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

#[derive(Clone)]
struct Waiting {
    id: String,
    body: String,
    receive_count: u32,
    sent_at: Timestamp,
    visible_at: Timestamp,
}

impl MemoryQueue {
    /// An empty queue whose calls may go wrong.
    #[must_use]
    pub fn new(faults: Faults, clock: FixedClock) -> Self {
        Self { faults, clock, waiting: Arc::default() }
    }

    /// Takes up to ten messages that are visible now. They stay in the queue, and visible, until [`Self::settle`].
    #[must_use]
    pub fn take(&self) -> SqsEvent {
        let (mut waiting, now) = (self.waiting(), self.clock.now());
        let visible = waiting.iter_mut().filter(|message| message.visible_at <= now).take(10);
        let mut event = SqsEvent::default();
        event.records = visible
            .map(|message| {
                message.receive_count += 1;
                let mut record = record(&message.id, &message.body, message.receive_count);
                record.attributes.insert("SentTimestamp".to_owned(), message.sent_at.millis().to_string());
                record
            })
            .collect();
        event
    }

    /// Deletes the messages of a batch that its response does not give back.
    pub fn settle(&self, batch: &SqsEvent, response: &SqsBatchResponse) {
        let failed =
            |id: &str| response.batch_item_failures.iter().any(|failure| failure.item_identifier == id);
        let ids = batch.records.iter().filter_map(|record| record.message_id.as_deref());
        let done: Vec<&str> = ids.filter(|id| !failed(id)).collect();
        self.waiting().retain(|message| !done.contains(&message.id.as_str()));
    }

    /// The bodies that are in the queue.
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        self.waiting().iter().map(|message| message.body.clone()).collect()
    }

    /// The names of the messages that are in the queue.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.waiting().iter().map(|message| message.id.clone()).collect()
    }

    /// How long until the next message is visible; `None` when the queue is empty.
    #[must_use]
    pub fn next_visible(&self) -> Option<Timestamp> {
        self.waiting().iter().map(|message| message.visible_at).min()
    }

    /// Puts a message that any body may make.
    pub fn push(&self, body: String, delay: Duration) {
        let mut waiting = self.waiting();
        let id = format!("message-{}", rand::random::<u64>());
        let now = self.clock.now();
        waiting.push(Waiting { id, body, receive_count: 0, sent_at: now, visible_at: now.after(delay) });
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record as an event source mapping gives it.
#[must_use]
pub fn record(message_id: &str, body: &str, receive_count: u32) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = Some(message_id.to_owned());
    record.receipt_handle = Some(message_id.to_owned());
    record.body = Some(body.to_owned());
    record.event_source_arn = Some("arn:aws:sqs:us-east-1:000000000000:queue".to_owned());
    record.attributes.insert("ApproximateReceiveCount".to_owned(), receive_count.to_string());
    record
}

impl EventQueue for MemoryQueue {
    async fn send(&self, events: &[Event]) -> Vec<PortResult<()>> {
        yield_now().await;
        let send = |event: &Event| {
            let body = event_body(event).map_err(|error| Unavailable::new("compressing", error))?;
            self.faults.call("sending an event", || self.push(body, Duration::ZERO))
        };
        events.iter().map(send).collect()
    }
}

impl DeliveryQueue for MemoryQueue {
    async fn send(&self, messages: &[Delayed]) -> PortResult<()> {
        yield_now().await;
        messages.iter().try_for_each(|Delayed { message, delay }| {
            let delay = (*delay).min(MAX_DELAY); // as the real queue shortens it
            self.faults.call("sending a delivery", || self.push(delivery_body(message), delay))
        })
    }
}

impl SourceQueue for MemoryQueue {
    async fn delete(&self, receipts: &[String]) -> PortResult<()> {
        yield_now().await;
        self.faults.call("deleting messages", || {
            self.waiting().retain(|message| !receipts.contains(&message.id));
        })
    }
}
