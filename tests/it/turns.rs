//! Many jobs and little time: each gets its turn, however long the others are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::data_keys::DataKeys;
use store::testing::memory::Memory;

use domain::endpoint::{Endpoint, MAX_RATE_PER_SECOND};
use domain::inbox::Head;
use domain::job::id::JobId;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, Work};
use domain::testing::{START, endpoint_of, event, tenant};
use domain::timestamp::Timestamp;
use scheduler::handler::Scheduler;
use store::clock::Clock;
use store::events::Events;
use store::schedule::Schedule;
use store::testing::clock::FixedClock;

use store::testing::faults::Faults;

use crate::support::configs;
use crate::support::lines::no_log;

/// Far more than are advanced side by side.
const JOBS: u8 = 30;

/// A step looks at a hundred: so many steps a job has.
const EVENTS: u64 = 600;

/// Time passes with every look at the clock.
#[derive(Clone, Default)]
struct TickingClock(Arc<AtomicU64>);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        START.after(Duration::from_millis(self.0.fetch_add(2, Ordering::SeqCst)))
    }
}

#[tokio::test]
async fn no_job_waits_until_long_ones_have_ended() {
    let still = Memory::new(&Faults::default(), &FixedClock::at(START));
    let ports = Memory {
        tables: still.tables.clone(),
        queues: still.queues.clone(),
        vault: still.vault.clone(),
        webhooks: still.webhooks.clone(),
        clock: TickingClock::default(),
    };
    let tables = &ports.tables;
    let keys = DataKeys::new(tables.control.clone(), still.vault.clone(), still.clock.clone());
    let events = Events::<Memory>::new(tables.events.clone(), keys);
    let schedule = Schedule::new(tables.schedule.clone());
    let mut ids = Vec::new();
    for number in 0..JOBS {
        let (tenant, rate_per_second) = (tenant(), MAX_RATE_PER_SECOND);
        tables.put_endpoint(&tenant, &Endpoint { rate_per_second, ..endpoint_of(&tenant, number) });
        for n in 0..EVENTS {
            let event = event(&tenant, "a", "1", START.after(Duration::from_millis(n)));
            let acked = Head::new(&event, [endpoint_of(&tenant, number).id]);
            events.insert(&event, &acked.acknowledge().unwrap()).await.unwrap();
        }
        let until = START.after(Duration::from_secs(60));
        let replay = Replay {
            filter: Filter { shards: 1, since: START, until, event_type: None, status: None },
            endpoint: None,
            rate_per_second: None,
            count: EVENTS,
            count_is_exact: true,
            progress: Progress::default(),
        };
        let id = JobId::generate_replay(START, &mut rand::rng());
        let job = Job::new(id.clone(), tenant.clone(), Work::Replay(Box::new(replay)), START);
        schedule.put_job(&job).await.unwrap();
        ids.push((tenant, id));
    }
    let scheduler = Scheduler::new(&ports, &configs::scheduler(), no_log());
    scheduler.handle(START.after(Duration::from_secs(30))).await;
    let mut seen = Vec::new();
    for (tenant, id) in ids {
        let job = schedule.replay(&tenant, &id).await.unwrap().expect("a replay");
        let Work::Replay(replay) = &job.work else { panic!("no replay") };
        seen.push(replay.progress.seen);
        assert!(job.claim(START).is_some(), "it waits for the next visit, which need not wait for it");
    }
    seen.sort_unstable();
    println!("{JOBS} replays of {EVENTS} events, one visit: {seen:?} are sent again");
    assert!(seen[0] > 0, "each had its turn");
    assert!(seen[seen.len() - 1] < EVENTS, "the visit ended before any of them");
}
