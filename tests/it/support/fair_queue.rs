//! A queue in simulated time that gives out messages as SQS' fair queues are documented to: of the tenant that has the fewest
//! under way.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use cost::clock::SimulatedClock;
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::queue::{Depth, Outgoing, Queue};
use store::testing::queue::record;
use store::unavailable::PortResult;
use tokio::sync::Notify;
use tokio::time::sleep;

/// What one receipt takes.
pub(crate) const RECEIPT: Duration = Duration::from_millis(20);

/// Messages by their group. Clones share them.
#[derive(Clone)]
pub(crate) struct FairQueue {
    arn: &'static str,
    /// How long a message that failed stays away.
    visibility: Duration,
    clock: SimulatedClock,
    state: Arc<Mutex<Queued>>,
    arrived: Arc<Notify>,
}

#[derive(Default)]
struct Queued {
    groups: BTreeMap<String, Group>,
    /// The messages that were received and not deleted, each with its group.
    received: HashMap<String, (String, Waiting)>,
    sent: u64,
}

#[derive(Default)]
struct Group {
    waiting: VecDeque<Waiting>,
    under_way: usize,
    /// How often a message of this group failed.
    failed: usize,
}

#[derive(Clone)]
struct Waiting {
    id: String,
    body: String,
    sent_at: Timestamp,
    receive_count: u32,
}

impl FairQueue {
    pub(crate) fn new(arn: &'static str, visibility: Duration, clock: SimulatedClock) -> Self {
        Self { arn, visibility, clock, state: Arc::default(), arrived: Arc::new(Notify::new()) }
    }

    fn state(&self) -> MutexGuard<'_, Queued> {
        self.state.lock().unwrap()
    }

    fn arrive(&self, group: &str, body: String) {
        let mut state = self.state();
        state.sent += 1;
        let id = format!("{}-{}", self.arn, state.sent);
        let message = Waiting { id, body, sent_at: self.clock.now(), receive_count: 0 };
        state.groups.entry(group.to_owned()).or_default().waiting.push_back(message);
        drop(state);
        self.arrived.notify_one();
    }

    /// Up to ten messages, as soon as there is one.
    pub(crate) async fn take(&self) -> SqsEvent {
        loop {
            let batch = self.try_take();
            if !batch.records.is_empty() {
                self.arrived.notify_one(); // there may be more
                return batch;
            }
            self.arrived.notified().await;
        }
    }

    /// Up to ten messages, or none.
    pub(crate) fn try_take(&self) -> SqsEvent {
        let (mut batch, mut state) = (SqsEvent::default(), self.state());
        while batch.records.len() < 10 {
            let waiting = state.groups.iter_mut().filter(|(_, group)| !group.waiting.is_empty());
            let Some((name, group)) = waiting.min_by_key(|(_, group)| group.under_way) else { break };
            group.under_way += 1;
            let Some(mut message) = group.waiting.pop_front() else { break };
            message.receive_count += 1;
            let mut received = record(&message.id, &message.body, message.receive_count);
            received.event_source_arn = Some(self.arn.to_owned());
            let sent_at = message.sent_at.millis().to_string();
            received.attributes.insert("SentTimestamp".to_owned(), sent_at);
            batch.records.push(received);
            let name = name.clone();
            state.received.insert(message.id.clone(), (name, message));
        }
        batch
    }

    /// Deletes the messages of a batch. Those that failed come back when their visibility timeout ends.
    pub(crate) fn settle(&self, batch: &SqsEvent, response: &SqsBatchResponse) {
        let failed = |id: &str| response.batch_item_failures.iter().any(|it| it.item_identifier == id);
        for id in batch.records.iter().filter_map(|record| record.message_id.as_deref()) {
            let Some((name, message)) = self.state().received.remove(id) else { continue };
            if failed(id) {
                self.group(&name, |group| group.failed += 1);
                let queue = self.clone();
                tokio::spawn(async move {
                    sleep(queue.visibility).await;
                    queue.group(&name, |group| {
                        group.under_way -= 1;
                        group.waiting.push_front(message);
                    });
                    queue.arrived.notify_one();
                });
            } else {
                self.group(&name, |group| group.under_way -= 1);
            }
        }
    }

    /// Returns how many messages can be received now.
    pub(crate) fn count_waiting(&self) -> usize {
        self.state().groups.values().map(|group| group.waiting.len()).sum()
    }

    /// Returns how often messages of each group failed, of the groups with any.
    pub(crate) fn failed(&self) -> BTreeMap<String, usize> {
        let state = self.state();
        let failed = state.groups.iter().filter(|(_, group)| group.failed > 0);
        failed.map(|(name, group)| (name.clone(), group.failed)).collect()
    }

    fn group(&self, name: &str, change: impl FnOnce(&mut Group)) {
        if let Some(group) = self.state().groups.get_mut(name) {
            change(group);
        }
    }
}

impl Queue for FairQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<PortResult<()>> {
        for Outgoing { tenant, body, delay } in messages {
            let seconds = u64::try_from(delay.as_millis().div_ceil(1000)).unwrap(); // SQS knows whole seconds alone
            let (queue, delay) = (self.clone(), Duration::from_secs(seconds));
            let (group, body) = (tenant.to_string(), body.clone());
            if delay.is_zero() {
                queue.arrive(&group, body);
                continue;
            }
            tokio::spawn(async move {
                sleep(delay).await;
                queue.arrive(&group, body);
            });
        }
        messages.iter().map(|_| Ok(())).collect()
    }

    async fn delete(&self, _: &[String]) -> PortResult<()> {
        Ok(())
    }

    async fn depth(&self) -> PortResult<Depth> {
        Ok(Depth::default())
    }
}
