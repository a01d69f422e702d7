//! A batch of delivery messages, all at once: each ends on its own, and only what failed comes back.

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use triggers::adapters::queues::{UnknownForm, read_delivery};
use triggers::backlog::Backlog;
use triggers::batch::{self, Ended, Message};
use triggers::delivery::DeliveryMessage;
use triggers::endpoint::UrlPolicy;
use triggers::ports::{Clock, Control, Counts, DeliveryQueue, Events, Limits, QueueName, WebhookSender};
use triggers::tenant::TenantId;
use triggers::timestamp::Timestamp;

/// What delivery touches; its IAM policy says the same.
pub struct Delivery<C, E, L, Q, W, T> {
    /// Keys and endpoints.
    pub control: C,
    /// Heads and payloads.
    pub events: E,
    /// The counters behind `/metrics`.
    pub limits: L,
    /// Where delivery messages go.
    pub deliveries: Q,
    /// The outside world.
    pub webhooks: W,
    /// The time of day.
    pub clock: T,
    /// Which URLs may be endpoints.
    pub url_policy: UrlPolicy,
    /// The queue whose messages failed too often: nothing of it is given up.
    pub dead_letters_arn: String,
}

impl<C, E, L, Q, W, T> Delivery<C, E, L, Q, W, T>
where
    C: Control,
    E: Events,
    L: Limits,
    Q: DeliveryQueue,
    W: WebhookSender,
    T: Clock,
{
    /// Delivers a batch and gives back the messages that must come again.
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let began = self.clock.now();
        let read: Vec<Read> =
            batch::messages(event, &self.dead_letters_arn).into_iter().map(Read::new).collect();
        let keys: Vec<String> = read.iter().map(Read::key).collect();
        let ended = batch::once_each(&keys, async |place| self.handle_message(&read[place]).await).await;
        let counts = batch::firsts(&ended).fold(Counts::default(), |sum, counts| sum.plus(*counts));
        self.count(counts, settled(&read, &ended), &read, began).await;
        let messages: Vec<Message> = read.into_iter().map(|read| read.message).collect();
        batch::response("delivered", &messages, &ended, self.clock.now().millis_since(began))
    }

    async fn handle_message(&self, Read { message, delivery }: &Read) -> Result<Counts, String> {
        match delivery {
            Ok(delivery) => {
                self.deliver(delivery, message.is_first_receipt()).await.map_err(|error| error.to_string())
            }
            Err(error) => {
                batch::unreadable(&self.events, message, error.to_string(), self.clock.now()).await?;
                Ok(Counts { unreadable: 1, ..Counts::default() })
            }
        }
    }

    async fn count(
        &self,
        counts: Counts,
        settled: BTreeMap<TenantId, Backlog>,
        read: &[Read],
        now: Timestamp,
    ) {
        let undelayed = read.iter().filter(|read| read.is_first_attempt()).map(|read| &read.message);
        let wait = batch::longest_wait(QueueName::Deliveries, undelayed, now);
        batch::count(&self.limits, counts, wait, settled).await;
    }
}

/// What left the inbox of each tenant.
fn settled(read: &[Read], ended: &[Ended<Result<Counts, String>>]) -> BTreeMap<TenantId, Backlog> {
    let settled = |ended: &Ended<Result<Counts, String>>| {
        let counts: Option<&Counts> = ended.result.as_ref().ok();
        ended.is_first && counts.is_some_and(|counts| counts.settled > 0)
    };
    let settled = read.iter().zip(ended).filter(|(_, ended)| settled(ended));
    let deliveries = settled.filter_map(|(read, _)| read.delivery.as_ref().ok());
    Backlog::by_tenant(deliveries.map(|delivery| (delivery.tenant.clone(), Backlog::settled(delivery.event))))
}

/// A message, and the delivery that it is about.
struct Read {
    message: Message,
    delivery: Result<DeliveryMessage, UnknownForm>,
}

impl Read {
    fn new(message: Message) -> Self {
        Self { delivery: read_delivery(&message.body), message }
    }

    /// Whether the message came without a delay: how long a retry was in the queue says nothing about the queue.
    fn is_first_attempt(&self) -> bool {
        self.delivery.as_ref().is_ok_and(|delivery| delivery.n == 1)
    }

    /// What two messages for the same attempt have in common.
    fn key(&self) -> String {
        match &self.delivery {
            Ok(DeliveryMessage { tenant, event, endpoint, generation, n, fresh: _ }) => {
                format!("{tenant} {event} {endpoint} {generation} {n}")
            }
            Err(_) => self.message.message_id.clone(),
        }
    }
}
