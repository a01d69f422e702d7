//! A batch of SQS messages: each ends on its own, and only what failed comes back.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::{join, join_all};

use crate::metrics::Metrics;
use domain::tenant::id::TenantId;
use domain::tenant::stats::{TenantChange, TenantChanges};
use domain::timestamp::Timestamp;
use store::events::Events;
use store::events::unreadable::UnreadableMessage;
use store::limits::Limits;
use store::limits::counters::{Counts, QueueName, Wait};
use store::ports::Ports;
use store::queue::Queue;
use store::table::Table;
use store::unavailable::PortResult;

/// A message that comes for this time is a suspect.
const SUSPECT_FROM: u32 = 3;

/// One message of a batch.
#[derive(Clone, Debug)]
pub struct Message {
    /// The queue's own name for the message.
    pub message_id: String,
    /// What deletes it, while it is ours.
    pub receipt: String,
    /// What it says.
    pub body: String,
    /// How often it was taken from its queue, this time included.
    pub receive_count: u32,
    /// When it was put into its queue.
    pub sent_at: Timestamp,
    /// Whether it comes from the dead-letter queue.
    pub is_dead_letter: bool,
    /// The queue it comes from.
    pub queue: String,
}

impl Message {
    /// Whether the queue gives this message out for the first time.
    #[must_use]
    pub fn is_first_receipt(&self) -> bool {
        self.receive_count == 1 && !self.is_dead_letter
    }

    /// Whether it may be the one that killed its process again and again.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.receive_count >= SUSPECT_FROM
    }

    fn read(record: SqsMessage, dead_letters_arn: &str) -> Self {
        let attribute = |name| record.attributes.get(name);
        let receive_count = attribute("ApproximateReceiveCount").and_then(|count| count.parse().ok());
        let sent_at = attribute("SentTimestamp").and_then(|millis| millis.parse().ok());
        let queue = record.event_source_arn.unwrap_or_default();
        Self {
            receive_count: receive_count.unwrap_or(1),
            sent_at: Timestamp::from_millis(sent_at.unwrap_or_default()),
            is_dead_letter: queue == dead_letters_arn,
            queue,
            message_id: record.message_id.unwrap_or_default(),
            receipt: record.receipt_handle.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
        }
    }
}

/// The messages of an event source mapping's call.
#[must_use]
pub fn messages(event: SqsEvent, dead_letters_arn: &str) -> Vec<Message> {
    event.records.into_iter().map(|record| Message::read(record, dead_letters_arn)).collect()
}

/// No queue keeps a message longer; who claims to have waited longer was made up, as those in `events/`.
const MAX_LIFE: Duration = Duration::from_hours(14 * 24);

/// How long the oldest of these messages waited in `queue`, among those that it gives out for the first time.
pub fn longest_wait<'a>(
    queue: QueueName,
    messages: impl Iterator<Item = &'a Message>,
    now: Timestamp,
) -> Option<Wait> {
    let possible = |message: &&Message| now.since(message.sent_at) <= MAX_LIFE;
    let new = messages.filter(|message| message.is_first_receipt()).filter(possible);
    let waited_ms = new.map(|message| now.millis_since(message.sent_at)).max()?;
    Some(Wait { queue, waited_ms, at: now })
}

/// Adds a batch to the metrics, and to the backlog and the stats of each tenant; where that fails, the batch itself is none
/// the worse.
pub async fn count<T: Table>(
    limits: &Limits<T>,
    counts: Counts,
    wait: Option<Wait>,
    shares: &TenantChanges,
    now: Timestamp,
) {
    let shares = shares.iter().map(|(tenant, share)| count_share(limits, tenant, share, now.minutes()));
    let (counted, shares) = join(limits.count(counts, wait), join_all(shares)).await;
    for error in shares.into_iter().flatten().chain([counted]).filter_map(Result::err) {
        tracing::warn!(cause = %error, "this batch is not counted");
    }
}

/// Adds what was done for one tenant.
async fn count_share<T: Table>(
    limits: &Limits<T>,
    tenant: &TenantId,
    share: &TenantChange,
    minute: u64,
) -> [PortResult<()>; 2] {
    let backlog = limits.change_backlog(tenant, &share.backlog);
    join(backlog, limits.add_stats(tenant, minute, &share.stats)).await.into()
}

/// How one message of a batch ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ended<R> {
    /// The result, shared by all messages that ask for the same.
    pub result: R,
    /// Whether this is the first of them: what was done counts once.
    pub is_first: bool,
}

impl<R> Ended<Result<R, String>> {
    /// A message that must come again.
    #[must_use]
    pub fn failed(cause: &str) -> Self {
        Self { result: Err(cause.to_owned()), is_first: true }
    }
}

/// Handles suspects one by one, after all others are done and deleted: a message that kills its process takes nobody with
/// it, not even into the next receipt. Without suspects, all are handled together and nothing is deleted here.
pub async fn suspects_last<R>(
    source: &impl Queue,
    messages: &[Message],
    act: impl AsyncFn(&[&Message]) -> Vec<Ended<Result<R, String>>>,
) -> Vec<Ended<Result<R, String>>> {
    let (suspects, others): (Vec<usize>, Vec<usize>) =
        (0..messages.len()).partition(|place| messages[*place].is_suspect());
    let mut ended: BTreeMap<usize, Ended<Result<R, String>>> = BTreeMap::new();
    let mut kept = Vec::new(); // receipts of what is done and not deleted yet
    for group in [others].into_iter().chain(suspects.into_iter().map(|suspect| vec![suspect])) {
        if !kept.is_empty() {
            if let Err(error) = source.delete(&kept).await {
                tracing::warn!(cause = %error, "what is done is not deleted before a suspect");
            }
            kept.clear();
        }
        if group.is_empty() {
            continue;
        }
        let of_group: Vec<&Message> = group.iter().map(|place| &messages[*place]).collect();
        for (place, result) in group.iter().zip(act(&of_group).await) {
            if result.result.is_ok() {
                kept.push(messages[*place].receipt.clone());
            }
            ended.insert(*place, result);
        }
    }
    ended.into_values().collect()
}

/// What was done well in a batch, each once.
pub fn firsts<R>(ended: &[Ended<Result<R, String>>]) -> impl Iterator<Item = &R> {
    ended.iter().filter(|ended| ended.is_first).filter_map(|ended| ended.result.as_ref().ok())
}

/// Acts once for each different key, on the first message that has it, all at once; equal messages share the result.
/// A client that repeats itself quickly fills a batch with equal messages.
pub async fn once_each<K: Eq + Hash, R: Clone>(keys: &[K], act: impl AsyncFn(usize) -> R) -> Vec<Ended<R>> {
    let act = &act;
    let mut seen = HashMap::new();
    let firsts: Vec<usize> =
        keys.iter().enumerate().map(|(place, key)| *seen.entry(key).or_insert(place)).collect();
    let acts = seen.into_values().map(|place| async move { (place, act(place).await) });
    let results: HashMap<usize, R> = join_all(acts).await.into_iter().collect();
    let end =
        |(place, first): (usize, &usize)| Ended { result: results[first].clone(), is_first: place == *first };
    firsts.iter().enumerate().map(end).collect()
}

/// The answer that gives back exactly the failed messages, each logged with its cause, and their numbers for the line of
/// the invocation.
#[must_use]
pub fn response<R>(
    messages: &[Message],
    ended: &[Ended<Result<R, String>>],
    metrics: &mut Metrics,
) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for (message, ended) in messages.iter().zip(ended) {
        if let Err(cause) = &ended.result {
            tracing::warn!(
                message_id = message.message_id,
                receive_count = message.receive_count,
                cause,
                "a message goes back to its queue"
            );
            response.add_failure(&message.message_id);
        }
    }
    for (name, number) in [("messages", messages.len()), ("returned", response.batch_item_failures.len())] {
        metrics.count(name, u64::try_from(number).unwrap_or(u64::MAX));
    }
    response
}

/// Deals with a message that cannot be read: from the queue it fails, since a newer version may understand it; from
/// the dead-letter queue it is kept for a human, and leaves the queue.
///
/// # Errors
/// The reason it cannot be read, or the table's failure to keep it: either way the message stays in its queue.
pub async fn unreadable<P: Ports>(
    events: &Events<P>,
    message: &Message,
    reason: String,
    now: Timestamp,
) -> Result<(), String> {
    if !message.is_dead_letter {
        return Err(reason);
    }
    tracing::error!(message_id = message.message_id, reason, "a message that nobody can read is kept");
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
    async fn equal_messages_are_one() {
        let ended = once_each(&["a", "b", "a"], async |place| place).await;
        let ended: Vec<_> = ended.iter().map(|ended| (ended.result, ended.is_first)).collect();
        assert_eq!(ended, [(0, true), (1, true), (0, false)]);
    }
}
