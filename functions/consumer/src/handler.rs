//! A batch of events: each is stored on its own, their delivery messages leave together, and only then are
//! their own messages deleted.

use std::collections::{BTreeSet, HashMap};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::event::Event;
use domain::tenant::id::TenantId;
use domain::tenant::stats::{Share, Shares, Stats};
use domain::timestamp::Timestamp;
use futures_util::future::{join, join_all};
use runtime::batch;
use runtime::batch::Message;
use runtime::metrics::Metrics;
use store::adapters::queues::envelope::{UnknownForm, read_event};
use store::ports::control::{Control, TenantSettings};
use store::ports::events::Events;
use store::ports::limits::{Counts, Limits, QueueName};
use store::ports::schedule::Schedule;
use store::ports::{Clock, Delayed, DeliveryQueue, SourceQueue};

use crate::expirations::Expirations;
use crate::store::Stored;

/// What consumer touches; its IAM policy says the same.
pub struct Consumer<C, E, L, H, S, Q, T> {
    /// Tenants and endpoints.
    pub control: C,
    /// Heads and payloads.
    pub events: E,
    /// The counters behind `/metrics`.
    pub limits: L,
    /// When events will expire.
    pub expirations: Expirations<H>,
    /// Where events come from.
    pub source: S,
    /// Where delivery messages go.
    pub deliveries: Q,
    /// The time of day.
    pub clock: T,
    /// The queue whose messages failed too often: nothing of it is given up.
    pub dead_letters_arn: String,
    /// Takes the line of each invocation.
    pub log: Box<dyn Fn(&str) + Send + Sync>,
}

/// How each tenant stands, or why that cannot be known now.
type Standings = HashMap<TenantId, Result<TenantSettings, String>>;

/// What a message says.
type Read = Result<Event, UnknownForm>;

/// How a message ended.
type Ended = batch::Ended<Result<Stored, String>>;

impl<C: Control, E: Events, L: Limits, H: Schedule, S: SourceQueue, Q: DeliveryQueue, T: Clock>
    Consumer<C, E, L, H, S, Q, T>
{
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
            let standing = self.control.standing(tenant).await.map_err(|error| error.to_string());
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
            .flat_map(|stored| stored.messages.iter().cloned().map(Delayed::not))
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
fn shares(messages: &[Message], stored: &[Ended]) -> Shares {
    let accepted = Share::of(Stats { accepted: 1, ..Stats::default() });
    let first_receipts = messages.iter().zip(stored).filter(|(message, _)| message.is_first_receipt());
    let shares = first_receipts.filter_map(|(message, ended)| tenant_of(message, ended));
    let shares = shares.fold(Shares::default(), |shares, tenant| shares.with(&tenant, &accepted));
    let news = batch::firsts(stored).filter(|stored| stored.is_new);
    let news = news.filter_map(|stored| stored.event.as_ref());
    news.fold(shares, |shares, (tenant, event)| shares.with(tenant, &Share::stored(*event)))
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
