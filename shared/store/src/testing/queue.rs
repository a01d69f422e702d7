//! A queue in memory. A message is received again and again until it is deleted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::delivery::schedule::MAX_DELAY;
use domain::timestamp::Timestamp;
use tokio::task::yield_now;

use super::clock::FixedClock;
use super::faults::Faults;
use crate::clock::Clock;
use crate::queue::{Depth, Outgoing, Queue};
use crate::unavailable::PortResult;

/// A queue in memory. Clones share the messages.
#[derive(Clone)]
pub struct MemoryQueue<C = FixedClock> {
    arn: &'static str,
    faults: Faults,
    clock: C,
    messages: Arc<Mutex<Vec<Message>>>,
}

#[derive(Clone)]
struct Message {
    id: String,
    body: String,
    receive_count: u32,
    sent_at: Timestamp,
    visible_at: Timestamp,
}

impl<C: Clock> MemoryQueue<C> {
    /// Returns an empty queue of this ARN whose calls fail as `faults` plans.
    #[must_use]
    pub fn new(arn: &'static str, faults: Faults, clock: C) -> Self {
        Self { arn, faults, clock, messages: Arc::default() }
    }

    /// Receives up to ten messages that are visible now. They stay in the queue and visible until
    /// [`MemoryQueue::settle`].
    #[must_use]
    pub fn take(&self) -> SqsEvent {
        let now = self.clock.now();
        let mut event = SqsEvent::default();
        let mut messages = self.messages();
        let visible = messages.iter_mut().filter(|message| message.visible_at <= now).take(10);
        event.records = visible
            .map(|message| {
                message.receive_count += 1;
                let mut record = record(&message.id, &message.body, message.receive_count);
                record.event_source_arn = Some(self.arn.to_owned());
                record.attributes.insert("SentTimestamp".to_owned(), message.sent_at.millis().to_string());
                record
            })
            .collect();
        event
    }

    /// Deletes the messages of a batch, except those that the response names as failed (`ReportBatchItemFailures`).
    pub fn settle(&self, batch: &SqsEvent, response: &SqsBatchResponse) {
        let failed =
            |id: &str| response.batch_item_failures.iter().any(|failure| failure.item_identifier == id);
        let ids = batch.records.iter().filter_map(|record| record.message_id.as_deref());
        let done: Vec<&str> = ids.filter(|id| !failed(id)).collect();
        self.messages().retain(|message| !done.contains(&message.id.as_str()));
    }

    /// Returns the bodies of the messages in the queue.
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        self.messages().iter().map(|message| message.body.clone()).collect()
    }

    /// Returns the ids of the messages in the queue.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.messages().iter().map(|message| message.id.clone()).collect()
    }

    /// Returns when the next message is visible; `None` if the queue is empty.
    #[must_use]
    pub fn next_visible(&self) -> Option<Timestamp> {
        self.messages().iter().map(|message| message.visible_at).min()
    }

    /// Adds a message with any body.
    pub fn push(&self, body: String, delay: Duration) {
        let now = self.clock.now();
        let id = format!("message-{}", rand::random::<u64>());
        let visible_at = now.after(delay);
        self.messages().push(Message { id, body, receive_count: 0, sent_at: now, visible_at });
    }

    fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a record as the event source mapping of SQS passes it.
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

impl<C: Clock> Queue for MemoryQueue<C> {
    async fn send(&self, messages: &[Outgoing]) -> Vec<PortResult<()>> {
        yield_now().await;
        let send = |message: &Outgoing| {
            let delay = message.delay.min(MAX_DELAY);
            self.faults.call("SendMessageBatch", || self.push(message.body.clone(), delay))
        };
        messages.iter().map(send).collect()
    }

    async fn delete(&self, receipts: &[String]) -> PortResult<()> {
        yield_now().await;
        self.faults.call("DeleteMessageBatch", || {
            self.messages().retain(|message| !receipts.contains(&message.id));
        })
    }

    async fn depth(&self) -> PortResult<Depth> {
        yield_now().await;
        self.faults.call("GetQueueAttributes", || {
            let now = self.clock.now();
            let mut depth = Depth::default();
            for message in self.messages().iter() {
                if message.visible_at <= now { depth.visible += 1 } else { depth.delayed += 1 }
            }
            depth
        })
    }
}
