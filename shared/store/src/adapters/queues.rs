//! The queues `events` and `deliveries`: messages out, and what a record holds on its way in.

pub mod envelope;

use self::envelope::{delivery_body, event_body};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName, SendMessageBatchRequestEntry};
use futures_util::stream::{self, StreamExt};

use crate::adapters::aws::Clients;
use crate::ports::{Delayed, DeliveryQueue, EventQueue, SourceQueue};
use crate::unavailable::{PortResult, Unavailable};
use domain::delivery::schedule::MAX_DELAY;
use domain::event::Event;
use domain::tenant::id::TenantId;

/// The most messages that one call takes.
const MAX_BATCH_MESSAGES: usize = 10;

/// The most bytes that one call takes, with room for what surrounds the bodies.
const MAX_BATCH_BYTES: usize = 1_000_000;

/// Calls under way at once: as many as the largest batch of a client needs, and no more connections than a process may have.
const CONCURRENT_CALLS: usize = 64;

/// One queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

/// How many messages a queue holds, about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Depth {
    /// Waiting to be taken.
    pub visible: u64,
    /// Taken, and not yet done.
    pub in_flight: u64,
    /// Waiting for their delay to end.
    pub delayed: u64,
}

struct Outgoing<'a> {
    tenant: &'a TenantId,
    body: String,
    delay_seconds: i32,
}

impl Queue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(clients: &Clients, url: String) -> Self {
        Self { client: clients.sqs.clone(), url }
    }

    /// How many messages there are.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub async fn depth(&self) -> PortResult<Depth> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let get = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = get.set_attribute_names(Some(names.to_vec())).send().await;
        let answer = answer.map_err(|error| Unavailable::new("reading a queue's depth", error))?;
        let [visible, in_flight, delayed] = names.map(|name| {
            let value = answer.attributes().and_then(|attributes| attributes.get(&name));
            value.and_then(|digits| digits.parse().ok()).unwrap_or_default()
        });
        Ok(Depth { visible, in_flight, delayed })
    }

    /// Sends messages in as few calls as the limits allow; one result each, in order.
    async fn send_all(&self, messages: Vec<Outgoing<'_>>) -> Vec<PortResult<()>> {
        let mut calls = Vec::new();
        let mut rest = messages.as_slice();
        while !rest.is_empty() {
            let (call, later) = rest.split_at(fitting(rest));
            calls.push(self.send_call(call));
            rest = later;
        }
        let calls: Vec<Vec<PortResult<()>>> = stream::iter(calls).buffered(CONCURRENT_CALLS).collect().await;
        calls.into_iter().flatten().collect()
    }

    async fn send_call(&self, messages: &[Outgoing<'_>]) -> Vec<PortResult<()>> {
        match self.try_send_call(messages).await {
            Ok(results) => results,
            Err(error) => {
                let text = error.to_string();
                messages.iter().map(|_| Err(Unavailable::new("sending a message", text.clone()))).collect()
            }
        }
    }

    async fn try_send_call(&self, messages: &[Outgoing<'_>]) -> PortResult<Vec<PortResult<()>>> {
        let mut call = self.client.send_message_batch().queue_url(&self.url);
        for (index, message) in messages.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&message.body)
                .message_group_id(message.tenant.as_str())
                .set_delay_seconds((message.delay_seconds > 0).then_some(message.delay_seconds))
                .build()
                .map_err(|error| Unavailable::new("sending messages", error))?;
            call = call.entries(entry);
        }
        let answer = call.send().await.map_err(|error| Unavailable::new("sending messages", error))?;
        let confirmed =
            |index: usize| answer.successful().iter().any(|entry| entry.id() == index.to_string());
        let result = |index| {
            if confirmed(index) {
                Ok(())
            } else {
                let failed = answer.failed().iter().find(|entry| entry.id() == index.to_string());
                let reason = failed.map_or("no answer for it", |entry| entry.code());
                Err(Unavailable::new("sending a message", reason))
            }
        };
        Ok((0..messages.len()).map(result).collect())
    }
}

/// How many of the messages, at least one, fit into one call.
fn fitting(messages: &[Outgoing<'_>]) -> usize {
    let mut bytes = 0;
    let fit = messages.iter().take(MAX_BATCH_MESSAGES).take_while(|message| {
        bytes += message.body.len();
        bytes <= MAX_BATCH_BYTES
    });
    fit.count().max(1)
}

impl EventQueue for Queue {
    async fn send(&self, events: &[Event]) -> Vec<PortResult<()>> {
        let bodies: Result<Vec<_>, _> = events
            .iter()
            .map(|event| {
                let body = event_body(event)?;
                Ok(Outgoing { tenant: &event.tenant, body, delay_seconds: 0 })
            })
            .collect();
        match bodies {
            Ok(messages) => self.send_all(messages).await,
            Err(error) => {
                let error: std::io::Error = error;
                events.iter().map(|_| Err(Unavailable::new("compressing", error.to_string()))).collect()
            }
        }
    }
}

impl DeliveryQueue for Queue {
    async fn send(&self, messages: &[Delayed]) -> PortResult<()> {
        let outgoing = messages.iter().map(|Delayed { message, delay }| {
            let seconds = delay.min(&MAX_DELAY).as_millis().div_ceil(1000); // the emulator takes more, AWS refuses it
            let delay_seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
            Outgoing { tenant: &message.tenant, body: delivery_body(message), delay_seconds }
        });
        self.send_all(outgoing.collect()).await.into_iter().collect()
    }
}

impl SourceQueue for Queue {
    async fn delete(&self, receipts: &[String]) -> PortResult<()> {
        for receipts in receipts.chunks(MAX_BATCH_MESSAGES) {
            let mut call = self.client.delete_message_batch().queue_url(&self.url);
            for (index, receipt) in receipts.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                let entry = entry.receipt_handle(receipt).build();
                call = call.entries(entry.map_err(|error| Unavailable::new("deleting messages", error))?);
            }
            let answer = call.send().await.map_err(|error| Unavailable::new("deleting messages", error))?;
            if let Some(failed) = answer.failed().first() {
                return Err(Unavailable::new("deleting a message", failed.code()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_ten_messages_or_a_megabyte_and_at_least_one_message() {
        let tenant = TenantId::from_stored("org_1");
        let of = |sizes: &[usize]| {
            let body = |size: &usize| Outgoing { tenant: &tenant, body: "x".repeat(*size), delay_seconds: 0 };
            fitting(&sizes.iter().map(body).collect::<Vec<_>>())
        };
        assert_eq!(of(&[1; 25]), 10);
        assert_eq!(of(&[400_000; 5]), 2);
        assert_eq!(of(&[2_000_000]), 1);
    }
}
