//! A batch of delivery messages, all at once: each ends on its own, and only what failed comes back.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::delivery::DeliveryMessage;
use domain::delivery::signature::SigningSecrets;
use domain::endpoint::url::UrlPolicy;
use domain::timestamp::Timestamp;
use runtime::batch;
use runtime::batch::Message;
use runtime::metrics::Metrics;
use store::adapters::queues::envelope::{UnknownForm, read_delivery};
use store::ports::control::Control;
use store::ports::events::Events;
use store::ports::limits::{Limits, QueueName};
use store::ports::schedule::Schedule;
use store::ports::{Clock, DeliveryQueue, SourceQueue, Vault, WebhookSender};

use crate::admission::{Admission, Admissions};
use crate::tally::Tally;

/// What one message takes at most: the exchange with its receiver, and the calls to AWS around it.
const MAX_DELIVERY: Duration = Duration::from_secs(20);

/// The tables, queues and services of a deployment.
pub trait Ports {
    /// Endpoints and their health.
    type Control: Control;
    /// Heads, payloads and attempts.
    type Events: Events;
    /// The endpoints' rates, and the counters behind `/metrics`.
    type Limits: Limits;
    /// What is due later, and what is parked.
    type Schedule: Schedule;
    /// Where delivery messages come from and go.
    type Queue: DeliveryQueue + SourceQueue;
    /// The tenants' data keys.
    type Vault: Vault;
    /// The outside world.
    type Webhooks: WebhookSender;
    /// The time of day.
    type Clock: Clock;
}

/// What delivery touches; its IAM policy says the same.
pub struct Delivery<P: Ports> {
    /// Endpoints and their health.
    pub control: P::Control,
    /// Heads, payloads and attempts.
    pub events: P::Events,
    /// The endpoints' rates, and the counters behind `/metrics`.
    pub limits: P::Limits,
    /// What is due later, and what is parked.
    pub schedule: P::Schedule,
    /// Where delivery messages come from and go.
    pub deliveries: P::Queue,
    /// The tenants' data keys.
    pub vault: P::Vault,
    /// The outside world.
    pub webhooks: P::Webhooks,
    /// The time of day.
    pub clock: P::Clock,
    /// What our own signatures follow from.
    pub signing: SigningSecrets,
    /// Which URLs may be endpoints.
    pub url_policy: UrlPolicy,
    /// The queue whose messages failed too often: nothing of it is given up.
    pub dead_letters_arn: String,
    /// Takes the line of each invocation.
    pub log: Box<dyn Fn(&str) + Send + Sync>,
}

/// How a message ended.
type Ended = batch::Ended<Result<Tally, String>>;

impl<P: Ports> Delivery<P> {
    /// Delivers a batch and gives back the messages that must come again: those that failed, and those that would not
    /// have ended before `until`.
    pub async fn handle(&self, event: SqsEvent, until: Timestamp) -> SqsBatchResponse {
        let began = self.clock.now();
        let messages = batch::messages(event, &self.dead_letters_arn);
        let ended = batch::suspects_last(&self.deliveries, &messages, async |some| {
            self.handle_some(some, until).await
        });
        let ended = ended.await;
        let tally = batch::firsts(&ended).fold(Tally::default(), Tally::plus);
        let undelayed = messages.iter().filter(|message| is_first_attempt(message));
        let wait = batch::longest_wait(QueueName::Deliveries, undelayed, began);
        batch::count(&self.limits, tally.counts, wait, &tally.shares, self.clock.now()).await;
        let mut metrics = Metrics::new("delivery", "delivered");
        tally.write(&mut metrics);
        let response = batch::response(&messages, &ended, &mut metrics);
        metrics.milliseconds("handler_ms", self.clock.now().millis_since(began));
        (self.log)(&metrics.line(self.clock.now()));
        response
    }

    /// Delivers some messages at the same time.
    async fn handle_some(&self, messages: &[&Message], until: Timestamp) -> Vec<Ended> {
        let now = self.clock.now();
        if now.after(MAX_DELIVERY) > until {
            return messages.iter().map(|_| Ended::failed("there was no time left")).collect();
        }
        let read: Vec<Read<'_>> = messages.iter().map(|message| Read::new(message)).collect();
        let deliveries: Vec<&DeliveryMessage> =
            read.iter().filter_map(|read| read.delivery.as_ref().ok()).collect();
        let mut gates = Admissions::enter(&self.control, &self.limits, &deliveries, now).await;
        let mut entries = std::mem::take(&mut gates.entries).into_iter();
        let mut entry_of = |read: &Read<'_>| match read.delivery {
            Ok(_) => entries.next(),
            Err(_) => None,
        };
        let entries: Vec<Option<Admission>> = read.iter().map(&mut entry_of).collect();
        let keys: Vec<String> = read.iter().map(Read::key).collect();
        let ended = batch::once_each(&keys, async |place| {
            self.handle_message(&read[place], entries[place].clone()).await
        });
        let ended = ended.await;
        gates.leave(&self.limits).await;
        ended
    }

    async fn handle_message(
        &self,
        Read { message, delivery }: &Read<'_>,
        entry: Option<Admission>,
    ) -> Result<Tally, String> {
        match (delivery, entry) {
            (Ok(delivery), Some(entry)) => {
                let delivered = self.deliver(delivery, message.is_first_receipt(), entry).await;
                delivered.map_err(|error| error.to_string())
            }
            (Ok(_), None) => Err("its endpoint was not read".to_owned()),
            (Err(error), _) => {
                batch::unreadable(&self.events, message, error.to_string(), self.clock.now()).await?;
                Ok(Tally::unreadable())
            }
        }
    }
}

/// Whether the message came without a delay: how long a retry was in the queue says nothing about the queue.
fn is_first_attempt(message: &Message) -> bool {
    read_delivery(&message.body).is_ok_and(|delivery| delivery.fresh)
}

/// A message, and the delivery that it is about.
struct Read<'a> {
    message: &'a Message,
    delivery: Result<DeliveryMessage, UnknownForm>,
}

impl<'a> Read<'a> {
    fn new(message: &'a Message) -> Self {
        Self { delivery: read_delivery(&message.body), message }
    }

    /// What two messages for the same attempt have in common.
    fn key(&self) -> String {
        match &self.delivery {
            Ok(DeliveryMessage { tenant, event, endpoint, generation, n, fresh: _, bypass: _ }) => {
                format!("{tenant} {event} {endpoint} {generation} {n}")
            }
            Err(_) => self.message.message_id.clone(),
        }
    }
}
