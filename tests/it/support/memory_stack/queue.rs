//! A queue in memory that runs in real time, as SQS does: a received message is invisible for the visibility timeout, a
//! message that was received too often moves to the dead-letter queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws::system_clock::SystemClock;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::delivery::schedule::MAX_DELAY;
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::queue::{Depth, Outgoing, Queue};
use store::testing::queue::record;
use store::unavailable::PortResult;
use tokio::sync::Notify;
use tokio::time::sleep;

/// A queue. Clones share it.
#[derive(Clone)]
pub(crate) struct LiveQueue(Arc<Shared>);

struct Shared {
    arn: &'static str,
    visibility: Duration,
    /// How often a message is received before it moves, and where it moves.
    redrive: Option<(u32, LiveQueue)>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    sent: u64,
    /// The messages by their number, which is also their id and their receipt.
    messages: BTreeMap<u64, Message>,
}

struct Message {
    body: String,
    receive_count: u32,
    sent_at: Timestamp,
    visible_at: Timestamp,
}

impl LiveQueue {
    /// Returns an empty queue of this ARN and visibility timeout.
    pub(super) fn new(arn: &'static str, visibility: Duration) -> Self {
        Self::with_redrive(arn, visibility, None)
    }

    /// Returns an empty queue whose messages move to a dead-letter queue after this many receives.
    pub(super) fn with_redrive(
        arn: &'static str,
        visibility: Duration,
        redrive: Option<(u32, Self)>,
    ) -> Self {
        // The ids of messages of two queues differ, as in SQS.
        let state = State { sent: rand::random::<u32>().into(), ..State::default() };
        let (state, changed) = (Mutex::new(state), Notify::new());
        Self(Arc::new(Shared { arn, visibility, redrive, state, changed }))
    }

    /// Receives up to `most` messages that are visible now.
    pub(super) fn receive_now(&self, most: usize) -> SqsEvent {
        self.take(most)
    }

    /// Waits until messages are visible, and receives up to `most` of them.
    pub(super) async fn receive(&self, most: usize) -> SqsEvent {
        loop {
            let changed = self.0.changed.notified();
            let batch = self.take(most);
            if !batch.records.is_empty() {
                self.0.changed.notify_one(); // another receiver takes what is left
                return batch;
            }
            match self.next_visible() {
                None => changed.await,
                Some(at) => {
                    let wait = at.since(SystemClock.now()).max(Duration::from_millis(1));
                    tokio::select! { () = changed => {}, () = sleep(wait) => {} }
                }
            }
        }
    }

    /// Deletes the messages of a batch that its response does not give back.
    pub(super) fn settle(&self, batch: &SqsEvent, response: &SqsBatchResponse) {
        let failed: Vec<&str> =
            response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        let ids = batch.records.iter().filter_map(|record| record.message_id.as_deref());
        let done: Vec<String> = ids.filter(|id| !failed.contains(id)).map(str::to_owned).collect();
        self.remove(&done);
    }

    fn take(&self, most: usize) -> SqsEvent {
        let (now, mut batch) = (SystemClock.now(), SqsEvent::default());
        let mut state = self.state();
        let visible = state.messages.iter().filter(|(_, message)| message.visible_at <= now);
        let numbers: Vec<u64> = visible.map(|(number, _)| *number).take(most).collect();
        for number in numbers {
            let Some(message) = state.messages.get_mut(&number) else { continue };
            if let Some((_, dead_letters)) =
                self.0.redrive.as_ref().filter(|(most, _)| message.receive_count >= *most)
            {
                let dead = state.messages.remove(&number);
                dead_letters.push(dead.map(|dead| dead.body).unwrap_or_default(), Duration::ZERO);
                continue;
            }
            message.receive_count += 1;
            message.visible_at = now.after(self.0.visibility);
            batch.records.push(self.record(number, message));
        }
        batch
    }

    fn record(&self, number: u64, message: &Message) -> SqsMessage {
        let mut record = record(&number.to_string(), &message.body, message.receive_count);
        record.event_source_arn = Some(self.0.arn.to_owned());
        record.attributes.insert("SentTimestamp".to_owned(), message.sent_at.millis().to_string());
        record
    }

    fn next_visible(&self) -> Option<Timestamp> {
        self.state().messages.values().map(|message| message.visible_at).min()
    }

    fn push(&self, body: String, delay: Duration) {
        let seconds = u64::try_from(delay.as_millis().div_ceil(1000)).unwrap_or(u64::MAX); // SQS knows whole seconds
        let sent_at = SystemClock.now();
        let visible_at = sent_at.after(Duration::from_secs(seconds).min(MAX_DELAY));
        let mut state = self.state();
        state.sent += 1;
        let number = state.sent;
        state.messages.insert(number, Message { body, receive_count: 0, sent_at, visible_at });
        drop(state);
        self.0.changed.notify_one();
    }

    fn remove(&self, ids: &[String]) {
        let mut state = self.state();
        for number in ids.iter().filter_map(|id| id.parse().ok()) {
            state.messages.remove(&number);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder panics")
    }
}

impl Queue for LiveQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<PortResult<()>> {
        for message in messages {
            self.push(message.body.clone(), message.delay);
        }
        messages.iter().map(|_| Ok(())).collect()
    }

    async fn delete(&self, receipts: &[String]) -> PortResult<()> {
        self.remove(receipts);
        Ok(())
    }

    async fn depth(&self) -> PortResult<Depth> {
        let now = SystemClock.now();
        let mut depth = Depth::default();
        for message in self.state().messages.values() {
            let is_visible = message.visible_at <= now;
            let count = match (is_visible, message.receive_count) {
                (true, _) => &mut depth.visible,
                (false, 0) => &mut depth.delayed,
                (false, _) => &mut depth.in_flight,
            };
            *count += 1;
        }
        Ok(depth)
    }
}
