//! The table `Schedule` in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use crate::items::Updated;
use crate::keys;
use crate::ports::schedule::Schedule;
use crate::testing::faults::Faults;
use crate::unavailable::PortResult;
use domain::delivery::schedule::{Due, EndpointRow, Parked, shard_of_endpoint, shard_of_event};
use domain::endpoint::id::EndpointId;
use domain::event::claim::{Claim, ClaimName, Claimed};
use domain::inbox::expiry::Cohort;
use domain::job::{Job, JobId, Work};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// The table `Schedule` in memory.
#[derive(Clone, Default)]
pub struct MemorySchedule {
    faults: Faults,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    due: BTreeMap<String, Due>,
    parked: BTreeMap<(String, String), Parked>,
    endpoints: BTreeMap<String, EndpointRow>,
    expiring: BTreeMap<String, Cohort>,
    jobs: BTreeMap<JobId, Job>,
    names: HashMap<(TenantId, String), Claim<JobId>>,
    after_next_look: Option<Box<dyn FnOnce() + Send>>,
}

impl MemorySchedule {
    /// An empty table whose calls may go wrong.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// When the next row is due; `None` where there is none.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.state().due.values().map(|due| due.at).min()
    }

    /// Every parked delivery.
    #[must_use]
    pub fn all_parked(&self) -> Vec<Parked> {
        self.state().parked.values().cloned().collect()
    }

    /// Every endpoint's row.
    #[must_use]
    pub fn all_endpoint_rows(&self) -> Vec<EndpointRow> {
        self.state().endpoints.values().cloned().collect()
    }

    /// Every row of events that will expire, by when their owners are told.
    #[must_use]
    pub fn all_expiring(&self) -> Vec<Cohort> {
        self.state().expiring.values().cloned().collect()
    }

    /// Every job, under way or ended.
    #[must_use]
    pub fn all_jobs(&self) -> Vec<Job> {
        self.state().jobs.values().cloned().collect()
    }

    /// Parks a delivery as another process would.
    pub fn overwrite_parked(&self, parked: Parked) {
        let mut state = self.state();
        let (tenant, endpoint) = (parked.message.tenant.clone(), parked.message.endpoint.clone());
        let row = keys::parking_row(&tenant, &endpoint);
        state.parked.insert(parked_key(&parked), parked);
        state.endpoints.entry(row).or_insert(EndpointRow { tenant, endpoint, version: 0 }).version += 1;
    }

    /// Takes a parked delivery away.
    pub fn remove_parked(&self, parked: &Parked) {
        self.state().parked.remove(&parked_key(parked));
    }

    /// Does this right after the next look at what is parked.
    pub fn after_next_look(&self, act: impl FnOnce() + Send + 'static) {
        self.state().after_next_look = Some(Box::new(act));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parked_key(Parked { message, .. }: &Parked) -> (String, String) {
    (keys::parked(&message.tenant, &message.endpoint), keys::parked_row(message))
}

impl Schedule for MemorySchedule {
    async fn put_due(&self, due: &Due, _: Timestamp) -> PortResult<()> {
        yield_now().await;
        self.faults.call("putting a row", || {
            self.state().due.insert(keys::due_row(due), due.clone());
        })
    }

    async fn due(&self, shard: u8, until: Timestamp, most: usize) -> PortResult<Vec<Due>> {
        yield_now().await;
        self.faults.call("reading rows", || {
            let state = self.state();
            let of_shard = state.due.values().filter(|due| shard_of_event(due.message.event) == shard);
            of_shard.filter(|due| due.at < until).take(most).cloned().collect()
        })
    }

    async fn delete_due(&self, rows: &[Due]) -> PortResult<()> {
        yield_now().await;
        self.faults.call("deleting rows", || {
            let mut state = self.state();
            for due in rows {
                state.due.remove(&keys::due_row(due));
            }
        })
    }

    async fn park(&self, parked: &Parked, _: Timestamp) -> PortResult<()> {
        yield_now().await;
        self.faults.call("parking a delivery", || {
            self.state().parked.insert(parked_key(parked), parked.clone());
        })?;
        yield_now().await;
        self.faults.call("putting an endpoint's row", || {
            let (tenant, endpoint) = (parked.message.tenant.clone(), parked.message.endpoint.clone());
            let new = EndpointRow { tenant: tenant.clone(), endpoint: endpoint.clone(), version: 0 };
            let mut state = self.state();
            state.endpoints.entry(keys::parking_row(&tenant, &endpoint)).or_insert(new).version += 1;
        })
    }

    async fn endpoint_rows(&self, shard: u8) -> PortResult<Vec<EndpointRow>> {
        yield_now().await;
        self.faults.call("reading endpoints' rows", || {
            let state = self.state();
            let of_shard = state.endpoints.values().filter(|row| shard_of_endpoint(&row.endpoint) == shard);
            of_shard.cloned().collect()
        })
    }

    async fn parked(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        after: Option<&Parked>,
        most: usize,
    ) -> PortResult<Vec<Parked>> {
        yield_now().await;
        let parked = self.faults.call("reading parked deliveries", || {
            let (state, partition) = (self.state(), keys::parked(tenant, endpoint));
            let after = after.map(|parked| keys::parked_row(&parked.message)).unwrap_or_default();
            let own = state.parked.iter().filter(|((pk, sk), _)| *pk == partition && *sk > after);
            own.map(|(_, parked)| parked.clone()).take(most).collect()
        });
        let act = self.state().after_next_look.take();
        if let Some(act) = act {
            act();
        }
        parked
    }

    async fn unpark(&self, parked: &Parked) -> PortResult<()> {
        yield_now().await;
        self.faults.call("taking a parked delivery away", || {
            let (mut state, key) = (self.state(), parked_key(parked));
            if state.parked.get(&key).is_some_and(|there| there.token == parked.token) {
                state.parked.remove(&key);
            }
        })
    }

    async fn put_job(&self, job: &Job) -> PortResult<()> {
        yield_now().await;
        self.faults.call("putting a job", || {
            self.state().jobs.entry(job.id.clone()).or_insert_with(|| job.clone());
        })
    }

    async fn put_named_job(
        &self,
        job: &Job,
        name: &ClaimName,
        ours: &Claim<JobId>,
    ) -> PortResult<Claimed<JobId>> {
        yield_now().await;
        self.faults.call("naming a job", || {
            let mut state = self.state();
            let key = (job.tenant.clone(), keys::job_name(name));
            if let Some(live) = state.names.get(&key).filter(|held| held.is_live(job.created_at)) {
                return Claimed::decide(live, ours);
            }
            state.names.insert(key, ours.clone());
            state.jobs.insert(job.id.clone(), job.clone());
            Claimed::First
        })
    }

    async fn named_job(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        now: Timestamp,
    ) -> PortResult<Option<Claim<JobId>>> {
        yield_now().await;
        self.faults.call("reading a job's name", || {
            let held = self.state().names.get(&(tenant.clone(), keys::job_name(name))).cloned();
            held.filter(|held| held.is_live(now))
        })
    }

    async fn jobs(&self, most: usize) -> PortResult<Vec<Job>> {
        yield_now().await;
        self.faults.call("reading jobs", || {
            let state = self.state();
            state.jobs.values().filter(|job| job.ended_at.is_none()).take(most).cloned().collect()
        })
    }

    async fn replay(&self, tenant: &TenantId, id: &JobId) -> PortResult<Option<Job>> {
        yield_now().await;
        self.faults
            .call("reading a job", || self.state().jobs.get(id).filter(|job| job.tenant == *tenant).cloned())
    }

    async fn replays_under_way(&self, tenant: &TenantId) -> PortResult<usize> {
        yield_now().await;
        self.faults.call("counting replays", || {
            let is_under_way = |job: &&Job| {
                job.tenant == *tenant && job.ended_at.is_none() && matches!(job.work, Work::Replay(_))
            };
            self.state().jobs.values().filter(is_under_way).count()
        })
    }

    async fn erasure(&self, id: &JobId) -> PortResult<Option<Job>> {
        yield_now().await;
        self.faults.call("reading a job", || self.state().jobs.get(id).cloned())
    }

    async fn save_job(&self, job: &Job) -> PortResult<Updated> {
        yield_now().await;
        self.faults.call("writing a job", || match self.state().jobs.get_mut(&job.id) {
            Some(row) if row.rev + 1 == job.rev => {
                row.clone_from(job);
                Updated::Done
            }
            _ => Updated::Raced,
        })
    }

    async fn purge_replays(&self, tenant: &TenantId) -> PortResult<usize> {
        yield_now().await;
        self.faults.call("deleting replays", || {
            let mut state = self.state();
            let before = state.jobs.len() + state.names.len();
            state.jobs.retain(|_, job| job.tenant != *tenant || matches!(job.work, Work::Erasure(_)));
            state.names.retain(|(owner, _), _| owner != tenant);
            before - state.jobs.len() - state.names.len()
        })
    }

    async fn retire(&self, row: &EndpointRow) -> PortResult<()> {
        yield_now().await;
        self.faults.call("taking an endpoint's row away", || {
            let (mut state, key) = (self.state(), keys::parking_row(&row.tenant, &row.endpoint));
            if state.endpoints.get(&key).is_some_and(|there| there.version == row.version) {
                state.endpoints.remove(&key);
            }
        })
    }

    async fn put_expiring(&self, cohort: &Cohort) -> PortResult<()> {
        yield_now().await;
        self.faults.call("putting a row", || {
            self.state().expiring.insert(keys::expiring_row(cohort), cohort.clone());
        })
    }

    async fn expiring(&self, until: Timestamp, most: usize) -> PortResult<Vec<Cohort>> {
        yield_now().await;
        self.faults.call("reading rows", || {
            let state = self.state();
            state.expiring.values().filter(|row| row.warn_at() < until).take(most).cloned().collect()
        })
    }

    async fn delete_expiring(&self, cohort: &Cohort) -> PortResult<()> {
        yield_now().await;
        self.faults.call("deleting a row", || {
            self.state().expiring.remove(&keys::expiring_row(cohort));
        })
    }
}
