//! Handles a batch of events. Each event is stored on its own. Then the delivery messages of all events are sent together,
//! and only then SQS deletes the messages of the events.

use std::collections::{BTreeSet, HashMap};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::delivery::lane::Lane;
use domain::event::Event;
use domain::tenant::id::TenantId;
use domain::tenant::stats::{Stats, TenantChange, TenantChanges};
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use futures_util::future::{join, join_all};
use runtime::batch;
use runtime::batch::{Message, MessageOutcome};
use runtime::heartbeat::Heartbeat;
use runtime::metrics::Metrics;
use runtime::suspects;
use runtime::telemetry::Log;
use store::clock::Clock;
use store::control::Control;
use store::control::tenants::TenantSettings;
use store::data_keys::DataKeys;
use store::envelope::read_event;
use store::events::Events;
use store::expirations::Expirations;
use store::filling::Filling;
use store::limits::Limits;
use store::limits::counters::{Counts, QueueName, Wait};
use store::ports::Ports;
use store::queues::{Delayed, Lanes};
use store::schedule::Schedule;

use crate::config::Config;
use crate::lateness::Lateness;
use crate::settings::Settings;
use crate::store::Stored;
use crate::waits;

/// The function and all that it uses. Its IAM policy allows no more.
pub struct Consumer<P: Ports> {
    settings: Settings<P::Table>,
    events: Events<P>,
    keys: DataKeys<P>,
    limits: Limits<P::Table>,
    expirations: Expirations<P::Table>,
    filling: Filling<P::Table>,
    heartbeat: Heartbeat,
    lateness: Lateness<P::Table>,
    source: P::Queue,
    deliveries: Lanes<P::Queue>,
    clock: P::Clock,
    /// The ARN of the dead-letter queue. An unreadable message from it is kept in the table.
    dead_letters_arns: [String; 1],
    /// Writes the log line of each invocation.
    log: Log,
}

/// The settings of each tenant, or the reason why they could not be read.
type SettingsByTenant = HashMap<TenantId, Result<TenantSettings, String>>;

/// The outcome of one message.
type Outcome = MessageOutcome<Result<Stored, String>>;

impl<P: Ports> Consumer<P> {
    /// Makes the function over these ports.
    pub fn new(ports: &P, config: Config, log: Log) -> Self {
        let control = ports.table(&config.control_table);
        let keys = DataKeys::new(control.clone(), ports.vault(&config.data_kms_key), ports.clock());
        let schedule = Schedule::new(ports.table(&config.schedule_table));
        let limits = Limits::new(ports.table(&config.limits_table));
        Self {
            settings: Settings::new(Control::new(control)),
            events: Events::new(ports.table(&config.events_table), keys.clone()),
            keys,
            lateness: Lateness::new(limits.clone()),
            limits,
            expirations: Expirations::new(schedule.clone()),
            filling: Filling::new(schedule),
            heartbeat: Heartbeat::new(Wait::interval(config.shed_after)),
            source: ports.queue(&config.events_queue),
            deliveries: Lanes::new(
                ports.queue(&config.deliveries_queue),
                ports.queue(&config.slow_deliveries_queue),
            ),
            clock: ports.clock(),
            dead_letters_arns: [config.dead_letters_arn],
            log,
        }
    }

    /// Stores a batch of events, and returns the failed messages to the queue.
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let began = self.clock.now();
        let messages = batch::read_messages(event, &self.dead_letters_arns);
        let handle_group = async |group: &[&Message]| self.handle_group(group).await;
        let outcomes = suspects::handle_suspects_last(&self.source, &messages, handle_group).await;
        let mut metrics = Metrics::new("batch stored");
        self.count(&messages, &outcomes, began, &mut metrics).await;
        let response = batch::response(&messages, &outcomes, &mut metrics);
        metrics.set("handler_ms", self.clock.now().millis_since(began));
        self.log.write(metrics, self.clock.now());
        response
    }

    /// Handles some messages at the same time.
    async fn handle_group(&self, messages: &[&Message]) -> Vec<Outcome> {
        // 1. Read the messages, and the settings of their tenants.
        let now = self.clock.now();
        let read: Vec<_> = messages.iter().map(|message| read_event(&message.body)).collect();
        let settings = self.read_settings(read.iter().flatten(), now);
        let (settings, late) = join(settings, self.lateness.late_lanes(now)).await;

        // 2. Store each event once, although a batch can have several messages of it.
        let mut keys = Vec::with_capacity(messages.len());
        for (message, event) in messages.iter().zip(&read) {
            keys.push(key(message, event.as_ref().ok()));
        }
        let store = async |place: usize| match &read[place] {
            Ok(event) => self.store(event, &settings, &late, now).await,
            Err(error) => {
                let reason = error.to_string();
                batch::handle_unreadable(&self.events, messages[place], reason, now).await?;
                Ok(Stored::unreadable())
            }
        };
        let outcomes = batch::once_per_key(&keys, store).await;

        // 3. Send the delivery messages, and write the rows for expiry notices.
        let expiry_batches =
            batch::successes(&outcomes).filter_map(|stored| stored.expiry_batch.clone()).collect();
        let (outcomes, ()) = join(self.send(outcomes), self.expirations.write_rows(expiry_batches)).await;
        outcomes
    }

    /// Reads the settings of each tenant once.
    async fn read_settings(&self, events: impl Iterator<Item = &Event>, now: Timestamp) -> SettingsByTenant {
        let tenants: BTreeSet<&TenantId> = events.map(|event| &event.tenant).collect();
        let reads = tenants.into_iter().map(|tenant| async move {
            let settings = self.settings.read(tenant, now).await.map_err(|error| error.to_string());
            (tenant.clone(), settings)
        });
        join_all(reads).await.into_iter().collect()
    }

    async fn store(
        &self,
        event: &Event,
        settings: &SettingsByTenant,
        late: &[Lane],
        now: Timestamp,
    ) -> Result<Stored, String> {
        match settings.get(&event.tenant) {
            Some(Ok(settings)) if settings.is_erased => Ok(Stored::dropped(event)),
            Some(Ok(settings)) => {
                let stored = Stored::store(&self.events, event, settings, late, now).await;
                stored.map_err(|error| error.to_string())
            }
            Some(Err(error)) => Err(error.clone()),
            None => {
                Err("the settings of the tenant were not read for this batch of messages; the message returns to the queue"
                    .to_owned())
            }
        }
    }

    /// Sends the delivery messages of all stored events. If that fails, each event that has delivery messages fails, and
    /// returns to its queue.
    async fn send(&self, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let to_send = batch::successes(&outcomes).flat_map(|stored| stored.messages.iter().cloned());
        let messages: Vec<Delayed> = to_send.collect();
        self.lateness.record_send(&messages, self.clock.now());
        if let Err(error) = self.deliveries.send(&messages).await {
            for outcome in &mut outcomes {
                if outcome.result.as_ref().is_ok_and(|stored| !stored.messages.is_empty()) {
                    outcome.result = Err(error.to_string());
                }
            }
        }
        outcomes
    }

    /// Counts the batch in the table and in the log line.
    async fn count(&self, messages: &[Message], outcomes: &[Outcome], now: Timestamp, metrics: &mut Metrics) {
        let counts = counts_of(messages, outcomes);
        let stored = batch::successes(outcomes).filter(|stored| stored.is_new);
        metrics.count("stored", u64::try_from(stored.count()).unwrap_or(u64::MAX));
        metrics.count("unreadable", counts.unreadable);
        metrics.count("kms_failures", self.keys.take_failures());
        let wait = batch::longest_wait(QueueName::Events, messages.iter(), now);
        if let Some(wait) = &wait {
            metrics.set("queue_ms", wait.waited_ms);
        }
        let wait = wait.and_then(|wait| self.heartbeat.due(wait));
        let tenants: Vec<_> =
            messages.iter().zip(outcomes).map(|(message, outcome)| tenant_of(message, outcome)).collect();
        let changes = tenant_changes(messages, &tenants, outcomes);
        let waits = waits::long_waits(messages, &tenants, now);
        let count = batch::count(&self.limits, counts, wait, &changes, now);
        let (backlogs, ()) = join(count, waits::record(&self.limits, &waits)).await;
        self.filling.request(backlogs, &tiers(outcomes), now).await;
    }
}

/// Returns the tier of each tenant whose events were stored.
fn tiers(outcomes: &[Outcome]) -> HashMap<TenantId, Tier> {
    let stored = batch::successes(outcomes);
    stored
        .filter_map(|stored| stored.event.as_ref().map(|(tenant, _)| (tenant.clone(), stored.tier)))
        .collect()
}

/// Returns what the batch adds to the counters. An event with a delivery is counted together with it.
fn counts_of(messages: &[Message], outcomes: &[Outcome]) -> Counts {
    let mut counts = Counts::default();
    for (message, outcome) in messages.iter().zip(outcomes) {
        counts.accepted += u64::from(counts_as_accepted(message, outcome));
    }
    for stored in batch::successes(outcomes) {
        let is_counted_here = stored.is_new && !stored.is_counted_by_delivery();
        counts.stored += u64::from(is_counted_here);
        counts.settled += u64::from(is_counted_here && stored.expiry_batch.is_none());
        counts.unreadable += u64::from(stored.is_unreadable);
    }
    counts
}

/// Returns whether the message counts as an accepted event here: it is handled now, and delivery does not count it.
fn counts_as_accepted(message: &Message, outcome: &Outcome) -> bool {
    let Ok(stored) = &outcome.result else { return false };
    let is_new = outcome.is_first && stored.is_new;
    (message.is_first_receipt() || is_new) && !(outcome.is_first && stored.is_counted_by_delivery())
}

/// Returns the changes of each tenant's numbers by the batch. An event with a delivery is counted together with it.
fn tenant_changes(messages: &[Message], tenants: &[Option<TenantId>], outcomes: &[Outcome]) -> TenantChanges {
    let mut changes = TenantChanges::default();
    let accepted = TenantChange::from_stats(Stats { accepted: 1, ..Stats::default() });
    for ((message, tenant), outcome) in messages.iter().zip(tenants).zip(outcomes) {
        if counts_as_accepted(message, outcome)
            && let Some(tenant) = tenant
        {
            changes = changes.with(tenant, &accepted);
        }
    }
    let stored =
        batch::successes(outcomes).filter(|stored| stored.is_new && !stored.is_counted_by_delivery());
    for stored in stored {
        if let Some((tenant, event)) = &stored.event {
            let in_inbox = stored.expiry_batch.is_some();
            changes = changes.with(tenant, &TenantChange::for_stored(event.accepted_at(), in_inbox));
        }
    }
    changes
}

/// Returns the tenant of a message. If the event was not stored, its message is read again.
fn tenant_of(message: &Message, outcome: &Outcome) -> Option<TenantId> {
    match &outcome.result {
        Ok(stored) => stored.event.as_ref().map(|(tenant, _)| tenant.clone()),
        Err(_) => read_event(&message.body).ok().map(|event| event.tenant),
    }
}

/// Returns the key that all messages of one event share.
fn key(message: &Message, event: Option<&Event>) -> String {
    match event {
        Some(event) => format!("{} {}", event.tenant, event.id),
        None => message.message_id.clone(),
    }
}
