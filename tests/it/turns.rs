//! Many jobs and little time: each gets its turn, however long the others are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::endpoint::{Endpoint, MAX_RATE_PER_SECOND};
use domain::inbox::Head;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, JobId, Work};
use domain::testing::{START, endpoint_of, event, tenant};
use domain::timestamp::Timestamp;
use scheduler::handler::Scheduler;
use store::ports::Clock;
use store::ports::events::Events;
use store::ports::schedule::Schedule;
use store::testing::clock::FixedClock;
use store::testing::control::MemoryControl;
use store::testing::events::MemoryEvents;
use store::testing::faults::Faults;
use store::testing::limits::MemoryLimits;
use store::testing::queues::MemoryQueue;
use store::testing::schedule::MemorySchedule;

/// Far more than are advanced side by side.
const JOBS: u8 = 30;

/// A step looks at a hundred: so many steps a job has.
const EVENTS: u64 = 400;

/// Time passes with every look at the clock.
struct TickingClock(AtomicU64);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        START.after(Duration::from_millis(self.0.fetch_add(2, Ordering::SeqCst)))
    }
}

#[tokio::test]
async fn no_job_waits_until_long_ones_have_ended() {
    let (control, events, schedule) =
        (MemoryControl::default(), MemoryEvents::default(), MemorySchedule::default());
    let mut ids = Vec::new();
    for number in 0..JOBS {
        let (tenant, rate_per_second) = (tenant(), MAX_RATE_PER_SECOND);
        control.put_endpoint(&tenant, Endpoint { rate_per_second, ..endpoint_of(&tenant, number) });
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
        let id = JobId::replay(START, &mut rand::rng());
        let job = Job::new(id.clone(), tenant.clone(), Work::Replay(Box::new(replay)), START);
        schedule.put_job(&job).await.unwrap();
        ids.push((tenant, id));
    }
    let scheduler = Scheduler {
        control,
        events,
        limits: MemoryLimits::default(),
        schedule: schedule.clone(),
        deliveries: MemoryQueue::new(Faults::default(), FixedClock::at(START)),
        clock: TickingClock(AtomicU64::new(0)),
        erasure_pause: Duration::from_mins(3),
        log: Box::new(|_| ()),
    };
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
