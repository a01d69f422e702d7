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
use runtime::telemetry::Log;
use store::clock::Clock;
use store::control::Control;
use store::data_keys::DataKeys;
use store::envelope::{UnknownFormat, read_delivery};
use store::events::Events;
use store::limits::Limits;
use store::limits::counters::QueueName;
use store::ports::Ports;
use store::queues::DeliveriesQueue;
use store::schedule::Schedule;

use crate::admission::{Admission, Admissions};
use crate::config::Config;
use crate::tally::Tally;

/// What one message takes at most: the exchange with its receiver, and the calls to AWS around it.
const MAX_DELIVERY: Duration = Duration::from_secs(20);

/// What delivery touches; its IAM policy says the same.
pub struct Delivery<P: Ports> {
    pub(crate) control: Control<P::Table>,
    pub(crate) events: Events<P>,
    pub(crate) limits: Limits<P::Table>,
    pub(crate) schedule: Schedule<P::Table>,
    /// The queue that the messages come from.
    source: P::Queue,
    pub(crate) deliveries: DeliveriesQueue<P::Queue>,
    pub(crate) keys: DataKeys<P>,
    pub(crate) webhooks: P::Webhooks,
    pub(crate) clock: P::Clock,
    /// The keys of our own signatures.
    pub(crate) signing: SigningSecrets,
    /// Which URLs may be endpoints.
    pub(crate) url_policy: UrlPolicy,
    /// The dead-letter queue: nothing of it is given up.
    dead_letters_arn: String,
    /// Writes the one log line of each invocation.
    log: Log,
}

/// How a message ended.
type Ended = batch::Ended<Result<Tally, String>>;

impl<P: Ports> Delivery<P> {
    /// Returns the function over these ports.
    pub fn new(ports: &P, config: Config, log: Log) -> Self {
        let control = ports.table(&config.control_table);
        let keys = DataKeys::new(control.clone(), ports.vault(&config.data_kms_key), ports.clock());
        Self {
            control: Control::new(control),
            events: Events::new(ports.table(&config.events_table), keys.clone()),
            limits: Limits::new(ports.table(&config.limits_table)),
            schedule: Schedule::new(ports.table(&config.schedule_table)),
            source: ports.queue(&config.deliveries_queue),
            deliveries: DeliveriesQueue::new(ports.queue(&config.deliveries_queue)),
            keys,
            webhooks: ports.webhooks(),
            clock: ports.clock(),
            signing: SigningSecrets::new(config.signing_secrets),
            url_policy: config.url_policy,
            dead_letters_arn: config.dead_letters_arn,
            log,
        }
    }

    /// Delivers a batch and gives back the messages that must come again: those that failed, and those that would not
    /// have ended before `until`.
    pub async fn handle(&self, event: SqsEvent, until: Timestamp) -> SqsBatchResponse {
        let began = self.clock.now();
        let messages = batch::messages(event, &self.dead_letters_arn);
        let ended =
            batch::suspects_last(&self.source, &messages, async |some| self.handle_some(some, until).await);
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
    delivery: Result<DeliveryMessage, UnknownFormat>,
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
