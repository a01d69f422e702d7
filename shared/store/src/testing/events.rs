//! The table `Events` in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use crate::items::Updated;
use crate::keys;
use crate::ports::events::{Events, Found, Inserted, LogPage, LogRange, UnreadableMessage};
use crate::testing::faults::Faults;
use crate::unavailable::PortResult;
use domain::delivery::attempt::Attempt;
use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::expiry::{Cohort, Untaken};
use domain::inbox::{Head, Status};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// The table `Events` in memory. Eventually consistent reads see each head as it was before its last write.
#[derive(Clone, Default)]
pub struct MemoryEvents {
    faults: Faults,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rows: HashMap<(TenantId, EventId), Row>,
    unreadable: Vec<UnreadableMessage>,
    attempts: Vec<Attempt>,
    lose_next_update: bool,
}

struct Row {
    head: Head,
    before: Option<Head>,
    payload: Option<String>,
}

impl MemoryEvents {
    /// An empty table whose calls may go wrong.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// The present head of an event.
    #[must_use]
    pub fn current(&self, tenant: &TenantId, id: EventId) -> Option<Head> {
        self.state().rows.get(&(tenant.clone(), id)).map(|row| row.head.clone())
    }

    /// Every event that is stored.
    #[must_use]
    pub fn all(&self) -> Vec<(TenantId, Head)> {
        self.state().rows.iter().map(|((tenant, _), row)| (tenant.clone(), row.head.clone())).collect()
    }

    /// The attempts that were kept.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state().attempts.clone()
    }

    /// The messages that were kept because nobody could read them.
    #[must_use]
    pub fn unreadable(&self) -> Vec<UnreadableMessage> {
        self.state().unreadable.clone()
    }

    /// Writes a head as another process would, whatever its `rev`.
    pub fn overwrite(&self, tenant: &TenantId, head: Head) {
        if let Some(row) = self.state().rows.get_mut(&(tenant.clone(), head.id)) {
            row.before = Some(std::mem::replace(&mut row.head, head));
        }
    }

    /// Loses the answer of the next update, so that the SDK's own second try finds its condition broken.
    pub fn lose_answer_of_next_update(&self) {
        self.state().lose_next_update = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for MemoryEvents {
    async fn insert(&self, event: &Event, head: &Head) -> PortResult<Inserted> {
        yield_now().await;
        self.faults.call("storing an event", || {
            let key = (event.tenant.clone(), event.id);
            let mut state = self.state();
            if let Some(row) = state.rows.get(&key) {
                return Inserted::Existing(Box::new(row.head.clone()));
            }
            let row = Row { head: head.clone(), before: None, payload: Some(event.payload.clone()) };
            state.rows.insert(key, row);
            Inserted::New
        })
    }

    async fn head(&self, tenant: &TenantId, id: EventId, consistent: bool) -> PortResult<Option<Found>> {
        yield_now().await;
        self.faults.call("reading a head", || {
            let state = self.state();
            let row = state.rows.get(&(tenant.clone(), id))?;
            let head = if consistent { Some(&row.head) } else { row.before.as_ref() };
            head.map(|head| Found { head: head.clone(), inline_payload: None })
        })
    }

    async fn payload(&self, tenant: &TenantId, found: &Found) -> PortResult<Option<String>> {
        yield_now().await;
        self.faults.call("reading a payload", || {
            self.state().rows.get(&(tenant.clone(), found.head.id)).and_then(|row| row.payload.clone())
        })
    }

    async fn update(&self, tenant: &TenantId, next: &Head) -> PortResult<Updated> {
        yield_now().await;
        self.faults.call("changing a head", || {
            let mut state = self.state();
            let lost = std::mem::take(&mut state.lose_next_update);
            match state.rows.get_mut(&(tenant.clone(), next.id)) {
                Some(row) if row.head.rev + 1 == next.rev => {
                    row.before = Some(std::mem::replace(&mut row.head, next.clone()));
                    if lost { Updated::Raced } else { Updated::Done }
                }
                _ => Updated::Raced,
            }
        })
    }

    async fn walk(&self, tenant: &TenantId, stretch: &LogRange, most: usize) -> PortResult<LogPage> {
        yield_now().await;
        self.faults.call("walking through events", || {
            let state = self.state();
            let is_on = |id: &EventId| {
                let behind = stretch.after.is_none_or(|after| *id > after);
                let at = id.accepted_at();
                id.shard() == stretch.shard && behind && at >= stretch.since && at < stretch.until
            };
            let own = state.rows.iter().filter(|((owner, id), _)| owner == tenant && is_on(id));
            let mut found: Vec<&Head> = own.map(|(_, row)| &row.head).collect();
            found.sort_unstable_by_key(|head| head.id);
            let goes_on = found.len() > most;
            found.truncate(most);
            let reached = found.last().map(|head| head.id).filter(|_| goes_on);
            let mut heads: Vec<Head> = found.into_iter().cloned().collect();
            heads.retain(|head| head.status != Status::Deleted);
            LogPage { heads, reached }
        })
    }

    async fn bury(&self, tenant: &TenantId, tombstone: &Head) -> PortResult<Updated> {
        yield_now().await;
        self.faults.call("deleting an event", || {
            match self.state().rows.get_mut(&(tenant.clone(), tombstone.id)) {
                Some(row) if row.head.rev + 1 == tombstone.rev => {
                    row.before = Some(std::mem::replace(&mut row.head, tombstone.clone()));
                    Updated::Done
                }
                _ => Updated::Raced,
            }
        })
    }

    async fn forget(&self, tenant: &TenantId, event: EventId) -> PortResult<()> {
        yield_now().await;
        self.faults.call("deleting a payload", || {
            let mut state = self.state();
            if let Some(row) = state.rows.get_mut(&(tenant.clone(), event)) {
                row.payload = None;
            }
            state
                .attempts
                .retain(|attempt| attempt.message.event != event || attempt.message.tenant != *tenant);
        })
    }

    async fn purge(&self, tenant: &TenantId, shard: u8, most: usize) -> PortResult<usize> {
        yield_now().await;
        self.faults.call("erasing events", || {
            let mut state = self.state();
            let own = state.rows.keys().filter(|(owner, id)| owner == tenant && id.shard() == shard);
            let keys: Vec<_> = own.take(most).cloned().collect();
            for key in &keys {
                state.rows.remove(key);
            }
            keys.len()
        })
    }

    async fn purge_unreadable(&self, tenant: &TenantId) -> PortResult<usize> {
        yield_now().await;
        self.faults.call("deleting unreadable messages", || {
            let mut state = self.state();
            let before = state.unreadable.len();
            state.unreadable.retain(|message| message.tenant.as_ref() != Some(tenant));
            before - state.unreadable.len()
        })
    }

    async fn log_attempt(&self, attempt: &Attempt, _: Timestamp) -> PortResult<()> {
        yield_now().await;
        self.faults.call("logging an attempt", || {
            let mut state = self.state();
            if !state.attempts.iter().any(|kept| keys::attempt(kept) == keys::attempt(attempt)) {
                state.attempts.push(attempt.clone());
            }
        })
    }

    async fn untaken(&self, cohort: &Cohort, most: usize) -> PortResult<Untaken> {
        yield_now().await;
        self.faults.call("reading what expires", || {
            let state = self.state();
            let born = cohort.born_from..cohort.born_before();
            let rows = state.rows.iter().filter(|((owner, id), row)| {
                *owner == cohort.tenant && born.contains(&id.accepted_at()) && row.head.status.is_in_inbox()
            });
            let mut events: Vec<_> = rows.map(|((_, id), row)| (*id, row.head.event_type.clone())).collect();
            events.sort_unstable_by_key(|(id, _)| *id);
            let is_all = events.len() <= most;
            events.truncate(most);
            Untaken { events, is_all }
        })
    }

    async fn keep_unreadable(&self, message: &UnreadableMessage, _: Timestamp) -> PortResult<()> {
        yield_now().await;
        self.faults.call("keeping an unreadable message", || {
            let mut state = self.state();
            if !state.unreadable.contains(message) {
                state.unreadable.push(message.clone());
            }
        })
    }
}
