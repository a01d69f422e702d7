//! When to accept nothing more: a tenant whose inbox is full, or a queue that nobody empties.
//!
//! ```text
//!   last batch taken (by consumer)      our first send since        now
//!   ----------|-----------------------------------|------------------|---->
//!             | it had waited so long             |<---- nobody took anything for so long
//! ```
//!
//! The age of a queue is told to CloudWatch alone; what is known here is an estimate. It may be wrong, as when consumer
//! could not leave word of its last batch; so one request passes now and then, and the word of its batch sets it right.
//! Both looks are made now and then, beside the lease of tokens; while the table does not answer, nothing is turned away.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::tenant::backlog::Backlog;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::join;
use store::limits::Limits;
use store::limits::counters::{QueueName, Wait};
use store::table::Table;
use store::unavailable::PortResult;

/// How often the queue is looked at.
const LOOK_AT_QUEUE: Duration = Duration::from_secs(10);

/// How often a tenant's backlog is looked at.
const LOOK_AT_BACKLOG: Duration = Duration::from_secs(30);

/// How far the clocks of two instances may differ.
const SKEW: Duration = Duration::from_secs(5);

/// How long the word of the last batch counts: an empty queue gives no other.
const FRESH: Duration = Duration::from_secs(60);

/// More tenants than one instance serves in a minute.
const MAX_TENANTS: usize = 10_000;

/// Knows when to accept nothing more.
pub(crate) struct Backpressure<T> {
    limits: Limits<T>,
    shed_after: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: Queue,
    backlogs: HashMap<TenantId, (Timestamp, Backlog)>,
}

/// What is known of the queue `events`.
#[derive(Default)]
struct Queue {
    looked_at: Option<Timestamp>,
    wait: Option<Wait>,
    sent_since: Option<Timestamp>,
    probed_at: Option<Timestamp>,
}

impl Queue {
    /// Whether a request may pass: the queue is young enough, or it is time to find out.
    fn admits(&mut self, most: Duration, now: Timestamp) -> bool {
        if self.age(now) <= most {
            self.probed_at = None;
            return true;
        }
        let probed_at = *self.probed_at.get_or_insert(now);
        let is_due = now.since(probed_at) >= LOOK_AT_QUEUE;
        if is_due {
            self.probed_at = Some(now);
        }
        is_due
    }

    /// How long the oldest message waits, about.
    fn age(&self, now: Timestamp) -> Duration {
        let said = self.wait.filter(|wait| now.since(wait.at) < FRESH);
        let said = said.map_or(Duration::ZERO, |wait| Duration::from_millis(wait.waited_ms));
        said.max(self.sent_since.map_or(Duration::ZERO, |since| now.since(since)))
    }

    fn looked(&mut self, wait: PortResult<Option<Wait>>) {
        match wait {
            Ok(wait) => {
                self.wait = wait;
                let moved = |since: &Timestamp| wait.is_some_and(|wait| wait.at.after(SKEW) >= *since);
                self.sent_since = self.sent_since.filter(|since| !moved(since));
            }
            Err(error) => {
                tracing::warn!(cause = %error, "the age of the queue is not known");
                *self = Self { looked_at: self.looked_at, ..Self::default() };
            }
        }
    }
}

impl<T: Table> Backpressure<T> {
    /// Sheds load once the oldest event waits longer than `shed_after`, if ever.
    pub(crate) fn new(limits: Limits<T>, shed_after: Option<Duration>) -> Self {
        Self { limits, shed_after, state: Mutex::default() }
    }

    /// Looks at what is due for another look.
    pub(crate) async fn look(&self, bearer: &KeyRecord, now: Timestamp) {
        let (queue, backlog) = self.due(&bearer.tenant, now);
        let queue = async {
            if queue {
                let wait = self.limits.wait(QueueName::Events).await;
                self.state().queue.looked(wait);
            }
        };
        let backlog = async {
            if backlog {
                match self.limits.backlog(&bearer.tenant).await {
                    Ok(backlog) => drop(self.state().backlogs.insert(bearer.tenant.clone(), (now, backlog))),
                    Err(error) => tracing::warn!(cause = %error, "a tenant's backlog is not known"),
                }
            }
        };
        join(queue, backlog).await;
    }

    /// Whether events may be accepted, as far as is known.
    ///
    /// # Errors
    /// 503 while too much waits for all; 429 while too much waits of this tenant.
    pub(crate) fn admit(&self, bearer: &KeyRecord, now: Timestamp) -> Result<(), Problem> {
        let mut state = self.state();
        if self.shed_after.is_some_and(|most| !state.queue.admits(most, now)) {
            let detail = "events arrive faster than they can be stored; please send this one again";
            return Err(Problem::new(Kind::Overloaded, detail));
        }
        state.backlogs.get(&bearer.tenant).map_or(Ok(()), |(_, backlog)| backlog.check(bearer.tier, now))
    }

    /// Notes that something was sent.
    pub(crate) fn sent(&self, now: Timestamp) {
        self.state().queue.sent_since.get_or_insert(now);
    }

    fn due(&self, tenant: &TenantId, now: Timestamp) -> (bool, bool) {
        let State { queue, backlogs } = &mut *self.state();
        let queue_due = self.shed_after.is_some()
            && queue.looked_at.is_none_or(|looked_at| now.since(looked_at) >= LOOK_AT_QUEUE);
        if queue_due {
            queue.looked_at = Some(now);
        }
        if backlogs.len() >= MAX_TENANTS {
            backlogs.clear();
        }
        let backlog_due =
            backlogs.get(tenant).is_none_or(|(looked_at, _)| now.since(*looked_at) >= LOOK_AT_BACKLOG);
        if backlog_due {
            backlogs.entry(tenant.clone()).or_insert((now, Backlog::default())).0 = now;
        }
        (queue_due, backlog_due)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use domain::tenant::tier::Tier;
    use domain::testing::{START, key_of, tenant};
    use store::limits::counters::Counts;
    use store::testing::faults::{Fault, Faults};
    use store::testing::table::MemoryTable;

    use super::*;

    const MOST: Duration = Duration::from_secs(600);

    struct World {
        faults: Faults,
        limits: Limits<MemoryTable>,
        guard: Backpressure<MemoryTable>,
        bearer: KeyRecord,
    }

    fn world() -> World {
        let faults = Faults::default();
        let limits = Limits::new(MemoryTable::new(faults.clone()));
        let guard = Backpressure::new(limits.clone(), Some(MOST));
        World { faults, limits, guard, bearer: key_of(&tenant(), Tier::Free).1 }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(START.seconds() + seconds)
    }

    impl World {
        async fn takes_batch(&self, seconds: u64, waited: Duration) {
            let waited_ms = u64::try_from(waited.as_millis()).unwrap();
            let wait = Wait { queue: QueueName::Events, waited_ms, at: at(seconds) };
            self.limits.count(Counts::default(), Some(wait)).await.unwrap();
        }

        async fn refused(&self, seconds: u64) -> Option<Kind> {
            self.guard.look(&self.bearer, at(seconds)).await;
            self.guard.admit(&self.bearer, at(seconds)).err().map(|problem| problem.kind)
        }
    }

    #[tokio::test]
    async fn what_the_last_batch_waited_decides_as_long_as_it_is_fresh() {
        let world = world();
        world.takes_batch(0, MOST).await;
        assert_eq!(world.refused(0).await, None);
        world.takes_batch(5, MOST + Duration::from_secs(1)).await;
        assert_eq!(world.refused(9).await, None, "it is looked at every 10 s");
        assert_eq!(world.refused(10).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(19).await, Some(Kind::Overloaded));
        world.takes_batch(20, Duration::from_secs(1)).await;
        assert_eq!(world.refused(21).await, None);
        world.takes_batch(30, MOST * 2).await;
        assert_eq!(world.refused(89).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(90).await, None, "since then nothing waited, or it would say so");
    }

    #[tokio::test]
    async fn a_queue_that_nobody_empties_grows_old_and_recovers_with_the_next_batch() {
        let world = world();
        world.takes_batch(0, Duration::ZERO).await;
        assert_eq!(world.refused(1).await, None);
        world.guard.sent(at(6));
        world.guard.sent(at(300));
        assert_eq!(world.refused(606).await, None);
        assert_eq!(world.refused(607).await, Some(Kind::Overloaded));
        world.takes_batch(610, Duration::from_secs(30)).await;
        assert_eq!(world.refused(616).await, None);
        assert_eq!(world.refused(1300).await, None, "nothing was sent since");
    }

    #[tokio::test]
    async fn a_request_passes_now_and_then_so_that_a_lost_word_locks_nobody_out() {
        let world = world();
        world.guard.sent(at(0)); // it was taken, and the word of it was lost
        assert_eq!(world.refused(700).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(709).await, Some(Kind::Overloaded));
        assert_eq!(world.refused(710).await, None);
        assert_eq!(world.refused(711).await, Some(Kind::Overloaded));
        world.takes_batch(711, Duration::from_secs(1)).await;
        assert_eq!(world.refused(721).await, None);
        assert_eq!(world.refused(722).await, None, "and now all pass");
    }

    #[tokio::test]
    async fn a_clock_that_is_behind_locks_nobody_out() {
        let world = world();
        world.guard.sent(at(10));
        world.takes_batch(9, Duration::ZERO).await;
        assert_eq!(world.refused(1000).await, None);
    }

    #[tokio::test]
    async fn a_full_inbox_is_refused_until_some_was_taken() {
        let world = world();
        let (tenant, tier) = (&world.bearer.tenant, world.bearer.tier);
        let most = i64::try_from(tier.limits().undelivered_events).unwrap();
        world.limits.change_backlog(tenant, &Backlog::of([(START.days(), most)])).await.unwrap();
        assert_eq!(world.refused(0).await, Some(Kind::BacklogFull));
        world.limits.change_backlog(tenant, &Backlog::of([(START.days(), -1)])).await.unwrap();
        assert_eq!(world.refused(29).await, Some(Kind::BacklogFull));
        assert_eq!(world.refused(30).await, None);
    }

    #[tokio::test]
    async fn a_table_that_does_not_answer_turns_nothing_away() {
        let world = world();
        world.guard.sent(at(0));
        world.faults.die_at(0, Fault::Refused);
        assert_eq!(world.refused(0).await, None);
        assert_eq!(world.refused(700).await, None, "nobody knows whether it moved");
    }

    #[tokio::test]
    async fn without_a_bound_nothing_is_shed() {
        let world = world();
        let guard = Backpressure::new(world.limits.clone(), None);
        world.takes_batch(0, MOST * 100).await;
        guard.look(&world.bearer, at(0)).await;
        assert_eq!(guard.admit(&world.bearer, at(0)), Ok(()));
    }
}
