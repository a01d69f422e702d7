//! Handles a batch of delivery messages, all at the same time. Each message has its own outcome, and only failed messages
//! return to the queue.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::delivery::DeliveryMessage;
use domain::delivery::lane::Lane;
use domain::delivery::signature::SigningSecrets;
use domain::endpoint::own_hosts::OwnHosts;
use domain::endpoint::url::UrlPolicy;
use domain::tenant::capacity::Capacity;
use domain::timestamp::Timestamp;
use futures_util::future::join;
use runtime::batch;
use runtime::batch::{Message, MessageOutcome};
use runtime::heartbeat::Heartbeat;
use runtime::metrics::Metrics;
use runtime::suspects;
use runtime::telemetry::Log;
use store::clock::Clock;
use store::control::Control;
use store::data_keys::DataKeys;
use store::envelope::{UnknownFormat, read_delivery};
use store::events::Events;
use store::expirations::Expirations;
use store::filling::Filling;
use store::limits::Limits;
use store::limits::counters::{DELIVERIES_INTERVAL, QueueName};
use store::notices::Notices;
use store::ports::Ports;
use store::queues::Lanes;
use store::schedule::Schedule;

use crate::admission::{Admission, Admissions, Admitter};
use crate::config::Config;
use crate::health_turns::HealthTurns;
use crate::last_deliveries::LastDeliveries;
use crate::moves::Moves;
use crate::successes::Successes;
use crate::tally::Tally;
use crate::tiers::Tiers;

/// The longest time for one message: the exchange with the receiver, and the calls to AWS around it.
const MAX_DELIVERY: Duration = Duration::from_secs(20);

/// The function and all that it uses. Its IAM policy allows no more.
pub struct Delivery<P: Ports> {
    pub(crate) control: Control<P::Table>,
    pub(crate) events: Events<P>,
    pub(crate) limits: Limits<P::Table>,
    pub(crate) schedule: Schedule<P::Table>,
    pub(crate) expirations: Expirations<P::Table>,
    pub(crate) filling: Filling<P::Table>,
    /// The queues that the messages come from, and that take those of further attempts.
    pub(crate) deliveries: Lanes<P::Queue>,
    pub(crate) notices: Notices<P>,
    pub(crate) keys: DataKeys<P>,
    pub(crate) webhooks: P::Webhooks,
    pub(crate) clock: P::Clock,
    /// The successes that no write carries yet.
    pub(crate) successes: Successes,
    /// The turns of the attempts that change the health of an endpoint.
    pub(crate) health_turns: HealthTurns,
    /// The deliveries that are shown as the last ones of their endpoints.
    pub(crate) last_deliveries: LastDeliveries,
    /// What entered and left the inbox.
    pub(crate) moves: Moves,
    /// The tiers of tenants that were read.
    pub(crate) tiers: Tiers,
    /// The waits of the queues that are stored.
    heartbeat: Heartbeat,
    /// The instances that deliver at the same time.
    capacity: Capacity,
    /// The secrets for the signatures of the service itself.
    pub(crate) signing: SigningSecrets,
    /// The URLs that endpoints may have.
    pub(crate) url_policy: UrlPolicy,
    /// The hosts of this API, to which no webhook is sent.
    pub(crate) own_hosts: OwnHosts,
    /// The ARN of the queue of the slow lane.
    slow_arn: String,
    /// The ARNs of the dead-letter queues. An unreadable message from them is kept in the table.
    dead_letters_arns: Vec<String>,
    /// Writes the log line of each invocation.
    log: Log,
}

/// The outcome of one message.
pub(crate) type Outcome = MessageOutcome<Result<Tally, String>>;

impl<P: Ports> Delivery<P> {
    /// Makes the function over these ports.
    pub fn new(ports: &P, config: Config, log: Log) -> Self {
        let control = ports.table(&config.control_table);
        let keys =
            DataKeys::new(control.clone(), ports.vault(&config.data_kms_key), ports.clock()).read_only();
        let control = Control::new(control);
        let events = Events::new(ports.table(&config.events_table), keys.clone());
        let deliveries =
            Lanes::new(ports.queue(&config.deliveries_queue), ports.queue(&config.slow_deliveries_queue));
        let schedule = Schedule::new(ports.table(&config.schedule_table));
        Self {
            notices: Notices::new(control.clone(), events.clone(), deliveries.clone(), ports.clock()),
            control,
            events,
            deliveries,
            limits: Limits::new(ports.table(&config.limits_table)),
            expirations: Expirations::new(schedule.clone()),
            filling: Filling::new(schedule.clone()),
            schedule,
            keys,
            webhooks: ports.webhooks(),
            clock: ports.clock(),
            successes: Successes::default(),
            health_turns: HealthTurns::default(),
            last_deliveries: LastDeliveries::new(),
            moves: Moves::default(),
            tiers: Tiers::new(),
            heartbeat: Heartbeat::new(DELIVERIES_INTERVAL),
            capacity: config.capacity,
            signing: SigningSecrets::new(config.signing_secrets),
            url_policy: config.url_policy,
            own_hosts: config.own_hosts,
            slow_arn: config.slow_deliveries_arn,
            dead_letters_arns: config.dead_letters_arns,
            log,
        }
    }

    /// Delivers a batch. Returns to the queue the messages that failed, and those that could not end before `until`.
    pub async fn handle(&self, event: SqsEvent, until: Timestamp) -> SqsBatchResponse {
        let began = self.clock.now();
        let messages = batch::read_messages(event, &self.dead_letters_arns);
        let lane = self.lane(&messages);
        let handle_group = async |group: &[&Message]| self.handle_group(group, until).await;
        let source = self.deliveries.queue(lane);
        let outcomes = suspects::handle_suspects_last(source, &messages, handle_group).await;
        let tally = batch::successes(&outcomes).fold(self.moves.take(), Tally::plus);
        let undelayed = messages.iter().filter(|message| has_no_delay(message));
        let wait = batch::longest_wait(QueueName::Deliveries(lane), undelayed, began);
        let wait = wait.and_then(|wait| self.heartbeat.due(wait));
        let backlogs = batch::count(&self.limits, tally.counts, wait, &tally.changes, self.clock.now()).await;
        self.watch_filling(backlogs).await;
        let mut metrics = Metrics::new("batch delivered");
        tally.write_to(&mut metrics);
        let response = batch::response(&messages, &outcomes, &mut metrics);
        metrics.set("handler_ms", self.clock.now().millis_since(began));
        self.log.write(metrics, self.clock.now());
        response
    }

    /// Returns the lane of a batch: all of its messages come from one queue. A dead letter is handled where it is, as on the
    /// slow lane.
    fn lane<'m>(&self, messages: impl IntoIterator<Item = &'m Message>) -> Lane {
        let is_slow = |message: &Message| message.is_dead_letter || message.queue == self.slow_arn;
        if messages.into_iter().any(is_slow) { Lane::Slow } else { Lane::Quick }
    }

    /// Handles some messages at the same time.
    async fn handle_group(&self, messages: &[&Message], until: Timestamp) -> Vec<Outcome> {
        let now = self.clock.now();
        if now.after(MAX_DELIVERY) > until {
            return messages.iter().map(|_| Outcome::failed("no time left in this invocation")).collect();
        }
        // 1. Read the messages, and decide which of them may be sent now.
        let read: Vec<ReadMessage<'_>> = messages.iter().map(|message| ReadMessage::new(message)).collect();
        let deliveries: Vec<Option<&DeliveryMessage>> =
            read.iter().map(|message| message.delivery.as_ref().ok()).collect();
        let Self { control, limits, tiers, capacity, .. } = self;
        let lane = self.lane(messages.iter().copied());
        let admitter = Admitter { control, limits, tiers, capacity: *capacity, lane, now };
        let Admissions { entries, in_flight } = admitter.admit(&deliveries).await;

        // 2. Handle each attempt once, although a batch can have several messages for it. Then their places are free.
        let keys: Vec<String> = read.iter().map(ReadMessage::key).collect();
        let handle = async |place: usize| {
            let result = self.handle_message(&read[place], entries[place].clone()).await;
            let is_delivered = result.as_ref().is_ok_and(|tally| tally.counts.delivered > 0);
            let equal = keys.iter().enumerate().filter(|(_, key)| **key == keys[place]);
            equal.for_each(|(other, _)| in_flight.end(other, is_delivered && other == place));
            result
        };
        let (outcomes, ()) = join(batch::once_per_key(&keys, handle), in_flight.give_back(limits)).await;
        self.announce_parked(outcomes).await
    }

    async fn handle_message(
        &self,
        ReadMessage { message, delivery }: &ReadMessage<'_>,
        admission: Admission,
    ) -> Result<Tally, String> {
        match delivery {
            Ok(delivery) => {
                let delivered = self.deliver(delivery, message, admission).await;
                delivered.map_err(|error| error.to_string())
            }
            Err(error) => {
                self.enter_unreadable(message).await.map_err(|error| error.to_string())?;
                let now = self.clock.now();
                batch::handle_unreadable(&self.events, message, error.to_string(), now).await?;
                Ok(Tally::unreadable())
            }
        }
    }
}

/// Returns whether the message was sent without a delay. The delay of a retry says nothing about the age of the queue.
fn has_no_delay(message: &Message) -> bool {
    read_delivery(&message.body).is_ok_and(|delivery| delivery.fresh)
}

/// A message and the delivery in its body.
struct ReadMessage<'a> {
    message: &'a Message,
    delivery: Result<DeliveryMessage, UnknownFormat>,
}

impl<'a> ReadMessage<'a> {
    fn new(message: &'a Message) -> Self {
        Self { delivery: read_delivery(&message.body), message }
    }

    /// Returns the key that all messages for one attempt share.
    fn key(&self) -> String {
        match &self.delivery {
            Ok(DeliveryMessage {
                tenant,
                event,
                endpoint,
                run,
                n,
                fresh: _,
                bypass: _,
                units: _,
                has_waited: _,
                counts_event: _,
                trace: _,
            }) => {
                format!("{tenant} {event} {endpoint} {run} {n}")
            }
            Err(_) => self.message.message_id.clone(),
        }
    }
}
