//! A batch of SQS messages. Each message has its own outcome, and only failed messages are returned to the queue
//! (`ReportBatchItemFailures`).

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::{join, join_all};

use crate::metrics::Metrics;
use domain::tenant::backlog::DayChange;
use domain::tenant::id::TenantId;
use domain::tenant::stats::{TenantChange, TenantChanges};
use domain::timestamp::Timestamp;
use store::events::Events;
use store::events::unreadable::UnreadableMessage;
use store::limits::Limits;
use store::limits::counters::{Counts, QueueName, Wait};
use store::ports::Ports;
use store::table::Table;
use store::unavailable::{PortResult, Unavailable};

/// From this receive count on, a message is a suspect: it may have ended the processes that received it.
pub(crate) const SUSPECT_RECEIVE_COUNT: u32 = 3;

/// The longest retention of SQS. A message with a longer wait was not sent by SQS, such as the samples in `events/`.
const MAX_RETENTION: Duration = Duration::from_hours(14 * 24);

/// One message of a batch.
#[derive(Clone, Debug)]
pub struct Message {
    /// The `messageId` of SQS.
    pub message_id: String,
    /// The receipt handle, which deletes the message.
    pub receipt: String,
    /// The body.
    pub body: String,
    /// The number of times that the message was received, this time included.
    pub receive_count: u32,
    /// When the message was sent.
    pub sent_at: Timestamp,
    /// Whether the message comes from a dead-letter queue.
    pub is_dead_letter: bool,
    /// The ARN of the queue that the message comes from.
    pub queue: String,
}

impl Message {
    /// Returns whether the message was never received before.
    #[must_use]
    pub fn is_first_receipt(&self) -> bool {
        self.receive_count == 1 && !self.is_dead_letter
    }

    /// Returns whether the message has failed again and again. It may end in the dead-letter queue, and be lost there.
    #[must_use]
    pub fn keeps_failing(&self) -> bool {
        self.is_suspect() || self.is_dead_letter
    }

    /// Returns whether the message may have ended earlier processes.
    pub(crate) fn is_suspect(&self) -> bool {
        self.receive_count >= SUSPECT_RECEIVE_COUNT
    }

    fn from_record(record: SqsMessage, dead_letters_arns: &[String]) -> Self {
        let attribute = |name| record.attributes.get(name);
        let receive_count = attribute("ApproximateReceiveCount").and_then(|count| count.parse().ok());
        let sent_at = attribute("SentTimestamp").and_then(|millis| millis.parse().ok());
        let queue = record.event_source_arn.unwrap_or_default();
        Self {
            receive_count: receive_count.unwrap_or(1),
            sent_at: Timestamp::from_millis(sent_at.unwrap_or_default()),
            is_dead_letter: dead_letters_arns.contains(&queue),
            queue,
            message_id: record.message_id.unwrap_or_default(),
            receipt: record.receipt_handle.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
        }
    }
}

/// Reads the messages of an invocation by the event source mapping. Those from these queues are dead letters.
#[must_use]
pub fn read_messages(event: SqsEvent, dead_letters_arns: &[String]) -> Vec<Message> {
    event.records.into_iter().map(|record| Message::from_record(record, dead_letters_arns)).collect()
}

/// Returns how long the oldest of these messages waited in `queue`. Only messages at their first receipt count.
pub fn longest_wait<'a>(
    queue: QueueName,
    messages: impl Iterator<Item = &'a Message>,
    now: Timestamp,
) -> Option<Wait> {
    let is_possible = |message: &&Message| now.since(message.sent_at) <= MAX_RETENTION;
    let new = messages.filter(|message| message.is_first_receipt()).filter(is_possible);
    let waited_ms = new.map(|message| now.millis_since(message.sent_at)).max()?;
    Some(Wait { queue, waited_ms, at: now })
}

/// Adds a batch to the counters, and to the backlog and the statistics of each tenant. Returns the changed counts of the
/// backlogs. A failure is logged only: the work of the batch is done, and must not be repeated.
pub async fn count<T: Table>(
    limits: &Limits<T>,
    counts: Counts,
    wait: Option<Wait>,
    changes: &TenantChanges,
    now: Timestamp,
) -> Vec<(TenantId, DayChange)> {
    let by_tenant =
        changes.iter().map(|(tenant, change)| count_tenant(limits, tenant, change, now.minutes()));
    let (counted, counted_tenants) = join(limits.count(counts, wait), join_all(by_tenant)).await;
    let mut backlogs = Vec::new();
    let mut errors: Vec<Unavailable> = counted.err().into_iter().collect();
    for ((tenant, _), (backlog, stats)) in changes.iter().zip(counted_tenants) {
        match backlog {
            Ok(days) => backlogs.extend(days.into_iter().map(|day| (tenant.clone(), day))),
            Err(error) => errors.push(error),
        }
        errors.extend(stats.err());
    }
    for error in errors {
        tracing::warn!(cause = %error, "a batch is missing in the counters");
    }
    backlogs
}

/// Adds a change to the backlog and to the statistics of one tenant.
async fn count_tenant<T: Table>(
    limits: &Limits<T>,
    tenant: &TenantId,
    change: &TenantChange,
    minute: u64,
) -> (PortResult<Vec<DayChange>>, PortResult<()>) {
    let backlog = limits.change_backlog(tenant, &change.backlog);
    let stats = limits.add_stats(tenant, minute, &change.stats);
    join(backlog, stats).await
}

/// The outcome of one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MessageOutcome<R> {
    /// The result. Equal messages share it.
    pub result: R,
    /// Whether this is the first of its equal messages. Only the first is counted.
    pub is_first: bool,
}

impl<R> MessageOutcome<Result<R, String>> {
    /// Makes the outcome of a message that returns to its queue.
    #[must_use]
    pub fn failed(cause: &str) -> Self {
        Self { result: Err(cause.to_owned()), is_first: true }
    }
}

/// Returns the results of a batch that succeeded, once for equal messages.
pub fn successes<R>(outcomes: &[MessageOutcome<Result<R, String>>]) -> impl Iterator<Item = &R> {
    outcomes.iter().filter(|outcome| outcome.is_first).filter_map(|outcome| outcome.result.as_ref().ok())
}

/// Runs `act` once for each key, all at the same time, with the place of the first message that has the key. Messages
/// with the same key share the result. A client that repeats a request quickly can fill a batch with equal messages.
pub async fn once_per_key<K: Eq + Hash, R: Clone>(
    keys: &[K],
    act: impl AsyncFn(usize) -> R,
) -> Vec<MessageOutcome<R>> {
    let mut first_places: HashMap<&K, usize> = HashMap::new();
    for (place, key) in keys.iter().enumerate() {
        first_places.entry(key).or_insert(place);
    }

    let act = &act;
    let acts = first_places.values().map(|place| async move { (*place, act(*place).await) });
    let results: HashMap<usize, R> = join_all(acts).await.into_iter().collect();

    let mut outcomes = Vec::with_capacity(keys.len());
    for (place, key) in keys.iter().enumerate() {
        let first = first_places[key];
        outcomes.push(MessageOutcome { result: results[&first].clone(), is_first: place == first });
    }
    outcomes
}

/// Makes the response, which returns the failed messages to their queue. Logs each of them with its cause, and adds the
/// numbers of messages to the line of the invocation.
#[must_use]
pub fn response<R>(
    messages: &[Message],
    outcomes: &[MessageOutcome<Result<R, String>>],
    metrics: &mut Metrics,
) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for (message, outcome) in messages.iter().zip(outcomes) {
        if let Err(cause) = &outcome.result {
            tracing::warn!(
                message_id = message.message_id,
                receive_count = message.receive_count,
                cause,
                "a message failed and returns to its queue"
            );
            response.add_failure(&message.message_id);
        }
    }
    for (name, number) in [("messages", messages.len()), ("returned", response.batch_item_failures.len())] {
        metrics.count(name, u64::try_from(number).unwrap_or(u64::MAX));
    }
    response
}

/// Handles a message with an unreadable body. From the queue it fails, because a newer version may be able to read it.
/// From the dead-letter queue it is copied to the table, for an operator, and then deleted from that queue.
///
/// # Errors
/// The reason why the body is unreadable, or the table's error. In both cases the message stays in its queue.
pub async fn handle_unreadable<P: Ports>(
    events: &Events<P>,
    message: &Message,
    reason: String,
    now: Timestamp,
) -> Result<(), String> {
    if !message.is_dead_letter {
        return Err(reason);
    }
    tracing::error!(message_id = message.message_id, reason, "an unreadable message is kept in the table");
    let kept = UnreadableMessage {
        queue: message.queue.clone(),
        message_id: message.message_id.clone(),
        tenant: TenantId::of_message(&message.body),
        body: message.body.clone(),
    };
    events.keep_unreadable(&kept, now).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_with_the_same_key_share_one_result() {
        let outcomes = once_per_key(&["a", "b", "a"], async |place| place).await;
        let outcomes: Vec<_> = outcomes.iter().map(|outcome| (outcome.result, outcome.is_first)).collect();
        assert_eq!(outcomes, [(0, true), (1, true), (0, false)]);
    }
}
