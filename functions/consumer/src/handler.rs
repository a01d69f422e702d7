//! A batch of events: each is stored on its own, their delivery messages leave together, and only then are
//! their own messages deleted.

use std::collections::{BTreeSet, HashMap};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::event::Event;
use domain::tenant::id::TenantId;
use domain::tenant::stats::{Stats, TenantChange, TenantChanges};
use domain::timestamp::Timestamp;
use futures_util::future::{join, join_all};
use runtime::batch;
use runtime::batch::Message;
use runtime::metrics::Metrics;
use runtime::telemetry::Log;
use store::clock::Clock;
use store::control::Control;
use store::control::tenants::TenantSettings;
use store::data_keys::DataKeys;
use store::envelope::{UnknownFormat, read_event};
use store::events::Events;
use store::limits::Limits;
use store::limits::counters::{Counts, QueueName};
use store::ports::Ports;
use store::queues::{Delayed, DeliveriesQueue};
use store::schedule::Schedule;

use crate::config::Config;
use crate::expirations::Expirations;
use crate::store::Stored;

/// What consumer touches; its IAM policy says the same.
pub struct Consumer<P: Ports> {
    control: Control<P::Table>,
    events: Events<P>,
    limits: Limits<P::Table>,
    expirations: Expirations<P::Table>,
    source: P::Queue,
    deliveries: DeliveriesQueue<P::Queue>,
    clock: P::Clock,
    /// The dead-letter queue: nothing of it is given up.
    dead_letters_arn: String,
    /// Writes the one log line of each invocation.
    log: Log,
}

/// How each tenant stands, or why that cannot be known now.
type Standings = HashMap<TenantId, Result<TenantSettings, String>>;

/// What a message says.
type Read = Result<Event, UnknownFormat>;

/// How a message ended.
type Ended = batch::Ended<Result<Stored, String>>;

impl<P: Ports> Consumer<P> {
    /// Returns the function over these ports.
    pub fn new(ports: &P, config: Config, log: Log) -> Self {
        let control = ports.table(&config.control_table);
        let keys = DataKeys::new(control.clone(), ports.vault(&config.data_kms_key), ports.clock());
        Self {
            control: Control::new(control),
            events: Events::new(ports.table(&config.events_table), keys),
            limits: Limits::new(ports.table(&config.limits_table)),
            expirations: Expirations::new(Schedule::new(ports.table(&config.schedule_table))),
            source: ports.queue(&config.events_queue),
            deliveries: DeliveriesQueue::new(ports.queue(&config.deliveries_queue)),
            clock: ports.clock(),
            dead_letters_arn: config.dead_letters_arn,
            log,
        }
    }

    /// Stores a batch of events and gives back the messages that must come again.
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let began = self.clock.now();
        let messages = batch::messages(event, &self.dead_letters_arn);
        let stored = batch::suspects_last(&self.source, &messages, async |some| self.handle_some(some).await);
        let stored = stored.await;
        let mut metrics = Metrics::new("consumer", "stored");
        self.count(&messages, &stored, began, &mut metrics).await;
        let response = batch::response(&messages, &stored, &mut metrics);
        metrics.milliseconds("handler_ms", self.clock.now().millis_since(began));
        (self.log)(&metrics.line(self.clock.now()));
        response
    }

    /// Stores some events at the same time.
    async fn handle_some(&self, messages: &[&Message]) -> Vec<Ended> {
        let now = self.clock.now();
        let read: Vec<_> = messages.iter().map(|message| read_event(&message.body)).collect();
        let standings = self.standings(read.iter().flatten()).await;
        let keys: Vec<String> =
            messages.iter().zip(&read).map(|(message, read)| key(message, read)).collect();
        let stored = batch::once_each(&keys, async |place| match &read[place] {
            Ok(event) => self.store(event, &standings).await,
            Err(error) => {
                let kept = batch::unreadable(&self.events, messages[place], error.to_string(), now).await;
                kept.map(|()| Stored::unreadable())
            }
        });
        let stored = stored.await;
        let cohorts = batch::firsts(&stored).filter_map(|stored| stored.cohort.clone()).collect();
        let (sent, ()) = join(self.send(stored), self.expirations.note(cohorts)).await;
        sent
    }

    /// One consistent read per tenant: an endpoint created a second ago gets its first event.
    async fn standings(&self, events: impl Iterator<Item = &Event>) -> Standings {
        let tenants: BTreeSet<&TenantId> = events.map(|event| &event.tenant).collect();
        let reads = tenants.into_iter().map(|tenant| async move {
            let standing = self.control.settings(tenant).await.map_err(|error| error.to_string());
            (tenant.clone(), standing)
        });
        join_all(reads).await.into_iter().collect()
    }

    async fn store(&self, event: &Event, standings: &Standings) -> Result<Stored, String> {
        match standings.get(&event.tenant) {
            Some(Ok(standing)) if standing.is_erased => Ok(Stored::dropped(event)),
            Some(Ok(standing)) => {
                Stored::store(&self.events, event, standing).await.map_err(|e| e.to_string())
            }
            Some(Err(error)) => Err(error.clone()),
            None => Err("how the tenant stands was not read".to_owned()),
        }
    }

    /// Sends the delivery messages of all stored events; where that fails, each event that wanted one comes again.
    async fn send(&self, mut stored: Vec<Ended>) -> Vec<Ended> {
        let messages: Vec<_> = batch::firsts(&stored)
            .flat_map(|stored| stored.messages.iter().cloned().map(Delayed::at_once))
            .collect();
        if let Err(error) = self.deliveries.send(&messages).await {
            for ended in &mut stored {
                if ended.result.as_ref().is_ok_and(|stored| !stored.messages.is_empty()) {
                    ended.result = Err(error.to_string());
                }
            }
        }
        stored
    }

    async fn count(&self, messages: &[Message], stored: &[Ended], now: Timestamp, metrics: &mut Metrics) {
        let first_receipts = messages.iter().filter(|message| message.is_first_receipt()).count();
        let new = batch::firsts(stored).filter(|stored| stored.is_new).count();
        let unreadable = batch::firsts(stored).filter(|stored| stored.is_unreadable).count();
        let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
        let counts = Counts {
            accepted: count(first_receipts),
            stored: count(new),
            unreadable: count(unreadable),
            ..Counts::default()
        };
        for (name, number) in [("stored", counts.stored), ("unreadable", counts.unreadable)] {
            metrics.count(name, number);
        }
        let wait = batch::longest_wait(QueueName::Events, messages.iter(), now);
        if let Some(wait) = &wait {
            metrics.milliseconds("queue_ms", wait.waited_ms);
        }
        batch::count(&self.limits, counts, wait, &shares(messages, stored), now).await;
    }
}

/// What the batch did for each tenant.
fn shares(messages: &[Message], stored: &[Ended]) -> TenantChanges {
    let accepted = TenantChange::from_stats(Stats { accepted: 1, ..Stats::default() });
    let first_receipts = messages.iter().zip(stored).filter(|(message, _)| message.is_first_receipt());
    let shares = first_receipts.filter_map(|(message, ended)| tenant_of(message, ended));
    let shares = shares.fold(TenantChanges::default(), |shares, tenant| shares.with(&tenant, &accepted));
    let news = batch::firsts(stored).filter(|stored| stored.is_new);
    let news = news.filter_map(|stored| stored.event.as_ref());
    news.fold(shares, |shares, (tenant, event)| {
        shares.with(tenant, &TenantChange::for_stored(event.accepted_at()))
    })
}

/// Whose event a message is about; what could not be stored is read once more.
fn tenant_of(message: &Message, ended: &Ended) -> Option<TenantId> {
    match &ended.result {
        Ok(stored) => stored.event.as_ref().map(|(tenant, _)| tenant.clone()),
        Err(_) => read_event(&message.body).ok().map(|event| event.tenant),
    }
}

/// What two messages of the same event have in common.
fn key(message: &Message, read: &Read) -> String {
    match read {
        Ok(event) => format!("{} {}", event.tenant, event.id),
        Err(_) => message.message_id.clone(),
    }
}
