//! A queue whose calls take time and are recorded, in the calls that SQS gets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws::sqs_queue::fitting;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::delivery::schedule::MAX_DELAY;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::queue::{Depth, Outgoing, Queue};
use store::testing::queue::record;
use store::unavailable::PortResult;
use tokio::time::sleep;

use crate::clock::SimulatedClock;
use crate::latency::QUEUE_CALL;
use crate::recorded::{Received, Recorder};

/// The messages of one invocation, as in the template.
pub const BATCH_SIZE: usize = 10;

/// A queue. Clones share it.
#[derive(Clone)]
pub struct MeteredQueue {
    clock: SimulatedClock,
    recorder: Recorder,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    sent: u64,
    messages: Vec<Message>,
}

struct Message {
    id: String,
    tenant: TenantId,
    body: String,
    receive_count: u32,
    sent_at: Timestamp,
    visible_at: Timestamp,
}

impl MeteredQueue {
    /// Returns an empty queue whose calls this recorder gets.
    #[must_use]
    pub fn new(clock: SimulatedClock, recorder: Recorder) -> Self {
        Self { clock, recorder, state: Arc::default() }
    }

    /// Receives up to ten messages, as Lambda does for an invocation: of each tenant in turn, as a fair queue of busy tenants
    /// gives them.
    #[must_use]
    pub fn receive(&self) -> SqsEvent {
        self.receive_up_to(BATCH_SIZE)
    }

    /// Receives up to `most` messages in the same way.
    #[must_use]
    pub fn receive_up_to(&self, most: usize) -> SqsEvent {
        let (now, mut state, mut turns) = (self.clock.now(), self.state(), HashMap::new());
        let mut places = Vec::new();
        for (place, message) in state.messages.iter().enumerate().filter(|(_, one)| one.visible_at <= now) {
            let turn: &mut usize = turns.entry(message.tenant.clone()).or_default();
            places.push((*turn, place));
            *turn += 1;
        }
        places.sort_unstable();
        let mut batch = SqsEvent::default();
        for (_, place) in places.into_iter().take(most) {
            let message = &mut state.messages[place];
            message.receive_count += 1;
            let mut received = record(&message.id, &message.body, message.receive_count);
            received.attributes.insert("SentTimestamp".to_owned(), message.sent_at.millis().to_string());
            batch.records.push(received);
        }
        batch
    }

    /// Removes all messages, visible or not, and returns their bodies.
    #[must_use]
    pub fn take_all(&self) -> Vec<String> {
        let messages = std::mem::take(&mut self.state().messages);
        messages.into_iter().map(|message| message.body).collect()
    }

    /// Deletes the messages of an invocation that did not fail, as Lambda does.
    pub fn settle(&self, batch: &SqsEvent, response: &SqsBatchResponse) {
        let bytes = batch.records.iter().filter_map(|record| record.body.as_ref()).map(String::len).sum();
        let failed = |id: &str| response.batch_item_failures.iter().any(|it| it.item_identifier == id);
        let ids = batch.records.iter().filter_map(|record| record.message_id.clone());
        let done: Vec<String> = ids.filter(|id| !failed(id)).collect();
        self.recorder.record(|current| current.received = Some(Received { bytes, deleted: done.len() }));
        self.remove(&done);
    }

    /// Returns how many messages can be received now.
    #[must_use]
    pub fn count_visible(&self) -> usize {
        let now = self.clock.now();
        self.state().messages.iter().filter(|message| message.visible_at <= now).count()
    }

    /// Returns when the next message can be received; `None` if the queue is empty.
    #[must_use]
    pub fn next_visible(&self) -> Option<Timestamp> {
        self.state().messages.iter().map(|message| message.visible_at).min()
    }

    fn remove(&self, ids: &[String]) {
        self.state().messages.retain(|message| !ids.contains(&message.id));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue for MeteredQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<PortResult<()>> {
        let mut rest = messages;
        while !rest.is_empty() {
            let (call, later) = rest.split_at(fitting(rest));
            let bytes = call.iter().map(|message| message.body.len()).sum();
            self.recorder.record(|current| current.sends.push(bytes));
            rest = later;
        }
        if !messages.is_empty() {
            sleep(QUEUE_CALL).await; // the calls are made at the same time
        }
        let now = self.clock.now();
        let mut state = self.state();
        for Outgoing { tenant, body, delay } in messages {
            state.sent += 1;
            let id = format!("message-{}", state.sent);
            let seconds = delay.min(&MAX_DELAY).as_millis().div_ceil(1000); // SQS delays by whole seconds
            let visible_at =
                Timestamp::from_millis(now.millis() + u64::try_from(seconds).unwrap_or_default() * 1000);
            let (tenant, body) = (tenant.clone(), body.clone());
            state.messages.push(Message { id, tenant, body, receive_count: 0, sent_at: now, visible_at });
        }
        messages.iter().map(|_| Ok(())).collect()
    }

    async fn delete(&self, receipts: &[String]) -> PortResult<()> {
        self.recorder.record(|current| current.queue_calls += 1);
        sleep(QUEUE_CALL).await;
        self.remove(receipts);
        Ok(())
    }

    async fn depth(&self) -> PortResult<Depth> {
        self.recorder.record(|current| current.queue_calls += 1);
        sleep(QUEUE_CALL).await;
        Ok(Depth { visible: self.count_visible() as u64, ..Depth::default() })
    }
}
