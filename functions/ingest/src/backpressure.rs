//! Refuses new events while a tenant's inbox is full, while the tenant's own events wait too long in the queue `events`, or
//! while nothing is received from that queue.
//!
//! The queue is fair: messages of one tenant that wait do not make those of others wait. So a tenant is refused because of
//! the wait of its own events, which consumer stores beside the tenant's backlog. All tenants are refused while consumer
//! receives nothing, or in an emergency ([`EMERGENCY_FACTOR`]).
//!
//! The age of the queue is an estimate ([`QueueAge`]). While all requests are refused, one request is therefore allowed at
//! intervals, and its batch corrects the estimate. The wait of a tenant counts for a minute only. Waits and backlogs
//! are read at intervals, at the same time as the token is taken. If the table does not answer, no request is refused.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::join;
use store::cache::Cache;
use store::limits::Limits;
use store::limits::backlog::Demand;
use store::limits::counters::{QueueName, Wait};
use store::limits::queue_age::QueueAge;
use store::table::Table;
use store::unavailable::PortResult;

/// The interval between two readings of the wait, and between two requests that are allowed while others are refused.
const QUEUE_INTERVAL: Duration = Duration::from_secs(10);

/// The interval between two readings of a tenant's backlog and wait.
const DEMAND_INTERVAL: Duration = Duration::from_secs(30);

/// How many times the largest allowed age the wait of any tenant refuses all tenants. With the default of 10 minutes that
/// is 6 hours. A tenant that is refused from 10 minutes on can make its events wait so long only if consumer is 36 times too
/// slow for it: then consumer is at fault. It also limits many tenants that post so rarely that none of their waits counts.
const EMERGENCY_FACTOR: u32 = 36;

/// The largest number of tenants in memory, more than one instance serves in a minute.
const MAX_TENANTS: usize = 10_000;

/// Decides whether new events are refused.
pub(crate) struct Backpressure<T> {
    limits: Limits<T>,
    /// The longest time that events may wait in the queue; `None` for no limit.
    max_age: Option<Duration>,
    queue: Mutex<EventsQueue>,
    demands: Cache<TenantId, DemandReading>,
}

/// A tenant's backlog and wait when they were last read.
#[derive(Default)]
struct DemandReading {
    read_at: Option<Timestamp>,
    demand: Demand,
}

impl DemandReading {
    /// Checks that this tenant may post now.
    fn check(&self, bearer: &KeyRecord, max_age: Option<Duration>, now: Timestamp) -> Result<(), Problem> {
        if max_age.is_some_and(|max_age| self.demand.wait.is_some_and(|wait| wait.at(now) > max_age)) {
            return Err(overloaded("your events arrive faster than they are stored"));
        }
        self.demand.backlog.check(bearer.tier, now)
    }
}

/// The age of the queue `events`, and what was decided by it.
#[derive(Default)]
struct EventsQueue {
    read_at: Option<Timestamp>,
    age: QueueAge,
    /// The last request that was allowed although the queue was too old.
    last_allowed_at: Option<Timestamp>,
}

impl EventsQueue {
    /// Returns whether a request of any tenant is allowed: the queue is young enough, or the interval since the last allowed
    /// request is over.
    fn allows_request(&mut self, max_age: Duration, now: Timestamp) -> bool {
        if self.is_young(max_age, now) {
            self.last_allowed_at = None;
            return true;
        }
        let last_allowed_at = *self.last_allowed_at.get_or_insert(now);
        let is_due = now.since(last_allowed_at) >= QUEUE_INTERVAL;
        if is_due {
            self.last_allowed_at = Some(now);
        }
        is_due
    }

    /// Estimates whether consumer receives messages in time, and no tenant's wait is an emergency.
    fn is_young(&self, max_age: Duration, now: Timestamp) -> bool {
        self.age.unreceived(now) <= max_age && self.age.waited(now) <= max_age * EMERGENCY_FACTOR
    }

    /// Takes a new reading of the wait. A failed reading removes all that was known.
    fn take_reading(&mut self, reading: PortResult<Option<Wait>>, max_age: Duration) {
        match reading {
            Ok(wait) => self.age.take_reading(wait, Wait::interval(Some(max_age))),
            Err(error) => {
                tracing::warn!(cause = %error, "the age of the oldest message is unknown, so no request is refused because of it");
                *self = Self { read_at: self.read_at, ..Self::default() };
            }
        }
    }
}

impl<T: Table> Backpressure<T> {
    /// Makes the backpressure for events that may wait this long; `None` for no limit.
    pub(crate) fn new(limits: Limits<T>, max_age: Option<Duration>) -> Self {
        Self { limits, max_age, queue: Mutex::default(), demands: Cache::new(MAX_TENANTS) }
    }

    /// Reads the wait of all tenants, and the tenant's backlog and wait again, each if its interval is over.
    pub(crate) async fn refresh(&self, bearer: &KeyRecord, now: Timestamp) {
        join(self.refresh_queue(now), self.refresh_demand(&bearer.tenant, now)).await;
    }

    async fn refresh_queue(&self, now: Timestamp) {
        let Some(max_age) = self.max_age else { return };
        if !start_reading(&mut self.queue().read_at, QUEUE_INTERVAL, now) {
            return;
        }
        let reading = self.limits.wait(QueueName::Events).await;
        self.queue().take_reading(reading, max_age);
    }

    async fn refresh_demand(&self, tenant: &TenantId, now: Timestamp) {
        let start = |reading: &mut DemandReading| start_reading(&mut reading.read_at, DEMAND_INTERVAL, now);
        if !self.demands.with(tenant.clone(), DemandReading::default, start) {
            return;
        }
        match self.limits.demand(tenant).await {
            Ok(demand) => self.demands.insert(tenant.clone(), DemandReading { read_at: Some(now), demand }),
            Err(error) => tracing::warn!(cause = %error, "the backlog of a tenant was not read"),
        }
    }

    /// Checks that events of this tenant are accepted now, as far as this instance knows.
    ///
    /// # Errors
    /// 503 if the tenant's events wait too long, or all events do; 429 if the tenant's inbox is full.
    pub(crate) fn check(&self, bearer: &KeyRecord, now: Timestamp) -> Result<(), Problem> {
        if let Some(max_age) = self.max_age
            && !self.queue().allows_request(max_age, now)
        {
            return Err(overloaded("events arrive faster than they are stored"));
        }
        let check = |reading: &mut DemandReading| reading.check(bearer, self.max_age, now);
        self.demands.with(bearer.tenant.clone(), DemandReading::default, check)
    }

    /// Records that events were sent to the queue.
    pub(crate) fn record_send(&self, now: Timestamp) {
        self.queue().age.record_send(now);
    }

    fn queue(&self) -> MutexGuard<'_, EventsQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the 503 of a request that is refused because events wait too long.
fn overloaded(cause: &str) -> Problem {
    Problem::new(Kind::Overloaded, format!("{cause}; send this again after `Retry-After` seconds"))
}

/// Returns whether the interval since the last reading is over, and then records a reading at `now`.
fn start_reading(read_at: &mut Option<Timestamp>, interval: Duration, now: Timestamp) -> bool {
    let is_due = read_at.is_none_or(|read_at| now.since(read_at) >= interval);
    if is_due {
        *read_at = Some(now);
    }
    is_due
}

#[cfg(test)]
mod tests {
    use domain::tenant::backlog::Backlog;
    use domain::tenant::tier::Tier;
    use domain::testing::{START, key_of, tenant};
    use store::limits::counters::Counts;
    use store::testing::faults::{Fault, Faults};
    use store::testing::table::MemoryTable;

    use super::*;

    const MAX_AGE: Duration = Duration::from_secs(600);

    struct World {
        faults: Faults,
        limits: Limits<MemoryTable>,
        backpressure: Backpressure<MemoryTable>,
        bearer: KeyRecord,
    }

    fn world() -> World {
        let faults = Faults::default();
        let limits = Limits::new(MemoryTable::new(faults.clone()));
        let backpressure = Backpressure::new(limits.clone(), Some(MAX_AGE));
        World { faults, limits, backpressure, bearer: key_of(&tenant(), Tier::Free).1 }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(START.seconds() + seconds)
    }

    impl World {
        /// Stores the wait of a batch that consumer receives at this time.
        async fn receive_batch(&self, seconds: u64, waited: Duration) {
            let waited_ms = u64::try_from(waited.as_millis()).unwrap();
            let wait = Wait { queue: QueueName::Events, waited_ms, at: at(seconds) };
            self.limits.count(Counts::default(), Some(wait)).await.unwrap();
        }

        /// Stores the wait of the tenant's own events in such a batch.
        async fn receive_own(&self, seconds: u64, waited: Duration) {
            let waited_ms = u64::try_from(waited.as_millis()).unwrap();
            let wait = Wait { queue: QueueName::Events, waited_ms, at: at(seconds) };
            self.limits.record_wait(&self.bearer.tenant, &wait).await.unwrap();
        }

        /// Returns why a request at this time is refused.
        async fn refused(&self, seconds: u64) -> Option<Kind> {
            self.backpressure.refresh(&self.bearer, at(seconds)).await;
            self.backpressure.check(&self.bearer, at(seconds)).err().map(|problem| problem.kind)
        }
    }

    #[tokio::test]
    async fn the_wait_of_a_tenants_own_events_counts_for_one_minute() {
        let world = world();
        world.receive_own(0, MAX_AGE).await;
        assert_eq!(world.refused(0).await, None);
        world.receive_own(5, MAX_AGE + Duration::from_secs(1)).await;
        assert_eq!(world.refused(29).await, None, "the wait is read every 30 s");
        assert_eq!(world.refused(30).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(64).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(65).await, None, "the wait is too old to count");
    }

    #[tokio::test]
    async fn the_wait_of_others_counts_in_an_emergency_only() {
        let world = world();
        world.receive_batch(0, MAX_AGE * EMERGENCY_FACTOR).await;
        assert_eq!(world.refused(0).await, None);
        world.receive_batch(5, MAX_AGE * EMERGENCY_FACTOR + Duration::from_secs(1)).await;
        assert_eq!(world.refused(9).await, None, "the wait is read every 10 s");
        assert_eq!(world.refused(10).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(19).await, Some(Kind::Overloaded));
        world.receive_batch(20, Duration::from_secs(1)).await;
        assert_eq!(world.refused(21).await, None);
        world.receive_batch(30, MAX_AGE * EMERGENCY_FACTOR * 2).await;
        assert_eq!(world.refused(89).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(90).await, None, "the wait is too old to count");
    }

    #[tokio::test]
    async fn the_age_grows_while_nothing_is_received_and_falls_with_the_next_batch() {
        let world = world();
        world.receive_batch(0, Duration::ZERO).await;
        assert_eq!(world.refused(1).await, None);
        world.backpressure.record_send(at(156)); // consumer would have stored a wait of its own by then
        world.backpressure.record_send(at(300));
        assert_eq!(world.refused(756).await, None);
        assert_eq!(world.refused(757).await, Some(Kind::Overloaded));
        world.receive_batch(760, Duration::from_secs(30)).await;
        assert_eq!(world.refused(766).await, None);
        assert_eq!(world.refused(1300).await, None, "nothing was sent since then");
    }

    #[tokio::test]
    async fn one_request_in_ten_seconds_is_allowed_so_that_a_lost_wait_is_corrected() {
        let world = world();
        world.backpressure.record_send(at(0)); // consumer received it, and its wait was not stored
        assert_eq!(world.refused(700).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(709).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(710).await, None);
        assert_eq!(world.refused(711).await, Some(Kind::Overloaded));
        world.receive_batch(711, Duration::from_secs(1)).await;
        assert_eq!(world.refused(721).await, None);
        assert_eq!(world.refused(722).await, None, "all requests are allowed again");
    }

    #[tokio::test]
    async fn a_batch_received_by_a_clock_that_is_behind_counts() {
        let world = world();
        world.backpressure.record_send(at(10));
        world.receive_batch(9, Duration::ZERO).await;
        assert_eq!(world.refused(1000).await, None);
    }

    #[tokio::test]
    async fn events_are_refused_while_the_inbox_is_full() {
        let world = world();
        let tenant = &world.bearer.tenant;
        let most = i64::try_from(world.bearer.tier.limits().undelivered_events).unwrap();
        world.limits.change_backlog(tenant, &Backlog::of([(START.days(), most)])).await.unwrap();
        assert_eq!(world.refused(0).await, Some(Kind::BacklogFull));
        world.limits.change_backlog(tenant, &Backlog::of([(START.days(), -1)])).await.unwrap();
        assert_eq!(world.refused(29).await, Some(Kind::BacklogFull));
        assert_eq!(world.refused(30).await, None);
    }

    #[tokio::test]
    async fn no_request_is_refused_if_the_table_does_not_answer() {
        let world = world();
        world.backpressure.record_send(at(0));
        world.faults.die_at(0, Fault::Refused);
        assert_eq!(world.refused(0).await, None);
        assert_eq!(world.refused(700).await, None, "the age is unknown");
    }

    #[tokio::test]
    async fn without_a_limit_no_request_is_refused() {
        let world = world();
        let backpressure = Backpressure::new(world.limits.clone(), None);
        world.receive_batch(0, MAX_AGE * 100).await;
        world.receive_own(0, MAX_AGE * 100).await;
        backpressure.refresh(&world.bearer, at(0)).await;
        assert_eq!(backpressure.check(&world.bearer, at(0)), Ok(()));
    }
}
