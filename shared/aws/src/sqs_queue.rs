//! A queue of SQS, with as few calls as its limits allow.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName, SendMessageBatchRequestEntry};
use futures_util::stream::{self, StreamExt};

use domain::delivery::schedule::MAX_DELAY;
use store::queue::{Depth, Outgoing, Queue};
use store::unavailable::{PortResult, Unavailable};

use crate::clients::Clients;

/// The most messages that one call takes.
const MAX_BATCH_MESSAGES: usize = 10;

/// The most bytes of bodies in one call. SQS takes 1 MiB; the rest is room for what surrounds the bodies.
const MAX_BATCH_BYTES: usize = 1_000_000;

/// Concurrent calls: enough for a client's largest batch, and fewer than the connections that a process may have.
const CONCURRENT_CALLS: usize = 64;

/// One queue of SQS.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// Returns the queue at this URL.
    #[must_use]
    pub fn new(clients: &Clients, url: String) -> Self {
        Self { client: clients.sqs.clone(), url }
    }

    /// Sends what fits into one call. Where the whole call fails, every message has failed.
    async fn send_call(&self, messages: &[Outgoing]) -> Vec<PortResult<()>> {
        match self.try_send_call(messages).await {
            Ok(answer) => (0..messages.len()).map(|index| confirmation(&answer, index)).collect(),
            Err(error) => {
                let text = error.to_string();
                messages.iter().map(|_| Err(Unavailable::new("sending a message", text.clone()))).collect()
            }
        }
    }

    async fn try_send_call(&self, messages: &[Outgoing]) -> PortResult<SendMessageBatchOutput> {
        let mut call = self.client.send_message_batch().queue_url(&self.url);
        for (index, message) in messages.iter().enumerate() {
            let seconds = delay_seconds(message.delay);
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&message.body)
                .message_group_id(message.tenant.as_str()) // fair queues: one tenant's backlog does not delay the others
                .set_delay_seconds((seconds > 0).then_some(seconds))
                .build();
            call = call.entries(entry.map_err(|error| Unavailable::new("SendMessageBatch", error))?);
        }
        call.send().await.map_err(|error| Unavailable::new("SendMessageBatch", error))
    }
}

impl Queue for SqsQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<PortResult<()>> {
        let mut calls = Vec::new();
        let mut rest = messages;
        while !rest.is_empty() {
            let (call, later) = rest.split_at(fitting(rest));
            calls.push(self.send_call(call));
            rest = later;
        }
        let results: Vec<_> = stream::iter(calls).buffered(CONCURRENT_CALLS).collect().await;
        results.into_iter().flatten().collect()
    }

    async fn delete(&self, receipts: &[String]) -> PortResult<()> {
        for receipts in receipts.chunks(MAX_BATCH_MESSAGES) {
            let mut call = self.client.delete_message_batch().queue_url(&self.url);
            for (index, receipt) in receipts.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                let entry = entry.receipt_handle(receipt).build();
                call = call.entries(entry.map_err(|error| Unavailable::new("DeleteMessageBatch", error))?);
            }
            let answer = call.send().await.map_err(|error| Unavailable::new("DeleteMessageBatch", error))?;
            if let Some(failed) = answer.failed().first() {
                return Err(Unavailable::new("DeleteMessageBatch", failed.code()));
            }
        }
        Ok(())
    }

    async fn depth(&self) -> PortResult<Depth> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let get = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = get.set_attribute_names(Some(names.to_vec())).send().await;
        let answer = answer.map_err(|error| Unavailable::new("GetQueueAttributes", error))?;
        let [visible, in_flight, delayed] = names.map(|name| {
            let value = answer.attributes().and_then(|attributes| attributes.get(&name));
            value.and_then(|digits| digits.parse().ok()).unwrap_or_default()
        });
        Ok(Depth { visible, in_flight, delayed })
    }
}

/// Returns whether the queue confirmed the message of this index.
fn confirmation(answer: &SendMessageBatchOutput, index: usize) -> PortResult<()> {
    let id = index.to_string();
    if answer.successful().iter().any(|entry| entry.id() == id) {
        return Ok(());
    }
    let failed = answer.failed().iter().find(|entry| entry.id() == id);
    Err(Unavailable::new(
        "SendMessageBatch",
        failed.map_or("no result for the message", |entry| entry.code()),
    ))
}

/// Returns how many of the messages, at least one, fit into one call.
#[must_use]
pub fn fitting(messages: &[Outgoing]) -> usize {
    let mut bytes = 0;
    let fit = messages.iter().take(MAX_BATCH_MESSAGES).take_while(|message| {
        bytes += message.body.len();
        bytes <= MAX_BATCH_BYTES
    });
    fit.count().max(1)
}

/// Returns a delay in seconds, rounded up, and at most [`MAX_DELAY`]: AWS refuses a longer one, the emulator takes it.
fn delay_seconds(delay: Duration) -> i32 {
    let seconds = delay.min(MAX_DELAY).as_millis().div_ceil(1000);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_ten_messages_or_a_megabyte_and_at_least_one_message() {
        let tenant = domain::testing::tenant();
        let of = |sizes: &[usize]| {
            let message = |size: &usize| {
                let (tenant, body) = (tenant.clone(), "x".repeat(*size));
                Outgoing { tenant, body, delay: Duration::ZERO }
            };
            fitting(&sizes.iter().map(message).collect::<Vec<_>>())
        };
        assert_eq!(of(&[1; 25]), 10);
        assert_eq!(of(&[400_000; 5]), 2);
        assert_eq!(of(&[2_000_000]), 1);
    }

    #[test]
    fn a_delay_is_rounded_up_to_seconds_and_shortened_to_fifteen_minutes() {
        let seconds = |millis| delay_seconds(Duration::from_millis(millis));
        assert_eq!([0, 1, 1000, 1001].map(seconds), [0, 1, 1, 2]);
        assert_eq!(delay_seconds(MAX_DELAY), 900);
        assert_eq!(delay_seconds(Duration::MAX), 900);
    }
}
