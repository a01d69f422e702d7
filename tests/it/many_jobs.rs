//! More jobs than one visit of the scheduler reads: every job gets its turn within a bounded number of visits, and a tenant
//! with ten jobs gets no more turns than a tenant with one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::job::erasure::Erasure;
use domain::job::id::JobId;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, Work};
use domain::tenant::id::TenantId;
use domain::testing::{START, erasure_id};
use domain::timestamp::Timestamp;
use scheduler::handler::Scheduler;
use store::clock::Clock;
use store::schedule::Schedule;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::Memory;
use store::testing::queue::MemoryQueue;
use store::testing::table::MemoryTable;
use store::testing::webhooks::ScriptedWebhooks;

use tokio::task::yield_now;

use crate::support::configs;
use crate::support::lines::no_log;

const TENANTS: u64 = 100;

const REPLAYS_OF_EACH: u64 = 10;

/// The time that passes with each look at the clock: 20 steps of jobs fill a visit.
const TICK_MS: u64 = 500;

/// Visits in which each tenant has ten turns and more.
const VISITS: u64 = 55;

/// More calls than a visit makes.
const ALL_CALLS: usize = 1_000_000;

/// The steps of a slow replay: one for each of its shards, which are empty. It does not end in any of these stories.
const SHARDS: u8 = 255;

/// Time passes with every look at the clock.
#[derive(Clone)]
struct TickingClock(Arc<AtomicU64>);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(TICK_MS, Ordering::SeqCst))
    }
}

type Ports = Memory<MemoryQueue, ScriptedWebhooks, TickingClock>;

/// A scheduler with little time, over the jobs of many tenants.
struct Office {
    ports: Ports,
    schedule: Schedule<MemoryTable>,
    visits: u64,
}

impl Office {
    fn open() -> Self {
        let still = Memory::new(&Faults::default(), &FixedClock::at(START));
        let ports = Memory {
            tables: still.tables.clone(),
            queues: still.queues.clone(),
            vault: still.vault.clone(),
            webhooks: still.webhooks.clone(),
            clock: TickingClock(Arc::new(AtomicU64::new(START.millis()))),
        };
        Self { schedule: Schedule::new(ports.tables.schedule.clone()), ports, visits: 0 }
    }

    /// Puts a replay that has a step for each of these shards.
    async fn put_replay(&self, tenant: &TenantId, shards: u8) -> Job {
        let filter = Filter {
            shards,
            since: START,
            until: START.after(Duration::from_secs(60)),
            event_type: None,
            status: None,
        };
        let replay = Replay {
            filter,
            endpoint: None,
            rate_per_second: Some(1),
            count: 0,
            count_is_exact: true,
            progress: Progress::default(),
        };
        let id = JobId::generate_replay(START, &mut rand::rng());
        let job = Job::new(id, tenant.clone(), Work::Replay(Box::new(replay)), START);
        self.schedule.put_job(&job).await.unwrap();
        job
    }

    async fn put_erasure(&self, tenant: &TenantId) -> Job {
        let job = Job::new(erasure_id(), tenant.clone(), Work::Erasure(Box::new(Erasure::begin())), START);
        self.schedule.put_job(&job).await.unwrap();
        job
    }

    /// Puts the slow replays of many tenants.
    async fn put_slow_replays(&self) -> Vec<TenantId> {
        let tenants: Vec<TenantId> = (0..TENANTS).map(tenant_of).collect();
        for tenant in &tenants {
            for _ in 0..REPLAYS_OF_EACH {
                self.put_replay(tenant, SHARDS).await;
            }
        }
        tenants
    }

    /// Runs the scheduler for the next minute, until it has no time left, or until its process ends after so many calls.
    async fn visit(&mut self, calls: usize) {
        let began = START.after(Duration::from_mins(self.visits));
        self.visits += 1;
        self.ports.clock.0.store(began.millis(), Ordering::SeqCst);
        let scheduler = Scheduler::new(&self.ports, &configs::scheduler(), no_log());
        tokio::select! {
            biased;
            () = scheduler.handle(began.after(Duration::from_secs(55))) => (),
            () = yields(calls) => (),
        }
    }

    /// Runs the scheduler until a job has made a step, at most `most` times; returns the number of visits.
    async fn visits_until_moved(&mut self, job: &Job, most: u64) -> Option<u64> {
        for _ in 0..most {
            self.visit(ALL_CALLS).await;
            if self.steps_of(&job.id) > 0 {
                return Some(self.visits);
            }
        }
        None
    }

    fn job(&self, id: &JobId) -> Job {
        self.ports.tables.jobs().into_iter().find(|job| job.id == *id).expect("a job")
    }

    /// Returns the number of steps that a job has made.
    fn steps_of(&self, id: &JobId) -> u64 {
        match &self.job(id).work {
            Work::Replay(replay) => replay.progress.shard.into(),
            Work::Erasure(erasure) => u64::from(**erasure != Erasure::begin()),
        }
    }

    /// Returns the number of steps that the jobs of each tenant have made.
    fn steps(&self) -> BTreeMap<TenantId, u64> {
        let mut steps = BTreeMap::new();
        for job in self.ports.tables.jobs() {
            *steps.entry(job.tenant.clone()).or_default() += self.steps_of(&job.id);
        }
        steps
    }
}

/// Returns a tenant; those with higher numbers are newer.
fn tenant_of(number: u64) -> TenantId {
    TenantId::generate(START.after(Duration::from_secs(number)), &mut rand::rng())
}

/// Ends after the caller was polled so often. Each call of a port waits for one poll.
async fn yields(calls: usize) {
    for _ in 0..calls {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_newer_job_gets_its_turn_among_a_thousand_slow_ones() {
    let mut office = Office::open();
    office.put_slow_replays().await;
    let newer = office.put_replay(&tenant_of(TENANTS), SHARDS).await;
    let erasure = office.put_erasure(&tenant_of(TENANTS + 1)).await;
    let visits = office.visits_until_moved(&newer, 100).await;
    let steps: u64 = office.steps().values().sum();
    println!(
        "the newest of {} replays moved in visit {visits:?}, after {steps} steps",
        TENANTS * REPLAYS_OF_EACH + 1
    );
    // Each visit has time for 20 turns, and there are 102: of 101 tenants and an erasure.
    assert!(visits.is_some_and(|visits| visits <= 6));
    assert_eq!(office.steps_of(&erasure.id), 1, "the erasure had its turn");
}

#[tokio::test]
async fn a_tenant_with_ten_jobs_gets_as_many_turns_as_one_with_a_single_job_and_each_job_gets_one() {
    let mut office = Office::open();
    let tenants = office.put_slow_replays().await;
    let single = office.put_replay(&tenant_of(TENANTS), SHARDS).await;
    for _ in 0..VISITS {
        office.visit(ALL_CALLS).await;
    }
    let steps = office.steps();
    let (fewest, most) = (steps.values().min().unwrap(), steps.values().max().unwrap());
    println!("{VISITS} visits: from {fewest} to {most} steps of each tenant");
    assert_eq!(steps.len(), tenants.len() + 1);
    assert!(*fewest >= REPLAYS_OF_EACH && most - fewest <= 1, "{fewest} to {most}");
    assert_eq!(steps[&single.tenant], office.steps_of(&single.id));
    let idle = office.ports.tables.jobs().into_iter().filter(|job| office.steps_of(&job.id) == 0);
    assert_eq!(idle.count(), 0, "each job of each tenant had its turn");
}

#[tokio::test]
async fn a_newer_job_gets_its_turn_although_every_visit_dies() {
    let mut office = Office::open();
    office.put_slow_replays().await;
    let newer = office.put_replay(&tenant_of(TENANTS), SHARDS).await;
    let mut visits = 0;
    while office.job(&newer.id).last_turn.is_none() && visits < 100 {
        office.visit(14).await;
        visits += 1;
    }
    println!("the newest replay had its turn in visit {visits}, each of which died");
    assert!(visits <= 13, "each visit passes by eight of 101 turns");
}
