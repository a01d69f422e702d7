//! Decides which lanes of deliveries are late. While the function delivery is stopped or far behind on a lane, new events with a
//! delivery by it are put into the inbox from their birth, so that a client can pull what no webhook brings, and the limit of the
//! backlog counts it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::delivery::lane::Lane;
use domain::timestamp::Timestamp;
use store::limits::Limits;
use store::limits::counters::{DELIVERIES_INTERVAL, QueueName, Wait};
use store::limits::queue_age::QueueAge;
use store::queues::Delayed;
use store::table::Table;

/// The interval between two readings of the waits.
const INTERVAL: Duration = Duration::from_secs(30);

/// The wait from which on a lane is late: far longer than that of any message while delivery keeps up.
const LATE: Duration = Duration::from_secs(60);

/// How long nothing may be received from a lane before it is late.
const SILENT: Duration = Duration::from_secs(120);

/// What this instance knows of the lanes.
pub(crate) struct Lateness<T> {
    limits: Limits<T>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    read_at: Option<Timestamp>,
    quick: QueueAge,
    slow: QueueAge,
}

impl<T: Table> Lateness<T> {
    /// Returns a look at the lanes that has read nothing.
    pub(crate) fn new(limits: Limits<T>) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Returns the lanes that are late at `now`. Reads the waits again if the interval is over. If the table does not answer, no
    /// lane is late.
    pub(crate) async fn late_lanes(&self, now: Timestamp) -> Vec<Lane> {
        if self.starts_reading(now) {
            match self.limits.waits().await {
                Ok(waits) => self.state().take_reading(&waits),
                Err(error) => {
                    tracing::warn!(cause = %error, "the waits of deliveries are unknown; new events are not put into the inbox because of them");
                    self.state().forget();
                }
            }
        }
        let mut state = self.state();
        Lane::ALL.into_iter().filter(|lane| is_late(*state.age(*lane), now)).collect()
    }

    /// Records that these messages are sent.
    pub(crate) fn record_send(&self, messages: &[Delayed], now: Timestamp) {
        let mut state = self.state();
        for message in messages {
            state.age(message.lane).record_send(now);
        }
    }

    fn starts_reading(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        let is_due = state.read_at.is_none_or(|read_at| now.since(read_at) >= INTERVAL);
        if is_due {
            state.read_at = Some(now);
        }
        is_due
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn age(&mut self, lane: Lane) -> &mut QueueAge {
        match lane {
            Lane::Quick => &mut self.quick,
            Lane::Slow => &mut self.slow,
        }
    }

    fn take_reading(&mut self, waits: &[Wait]) {
        for lane in Lane::ALL {
            let wait = waits.iter().find(|wait| wait.queue == QueueName::Deliveries(lane));
            self.age(lane).take_reading(wait.copied(), DELIVERIES_INTERVAL);
        }
    }

    fn forget(&mut self) {
        for lane in Lane::ALL {
            *self.age(lane) = QueueAge::default();
        }
    }
}

fn is_late(age: QueueAge, now: Timestamp) -> bool {
    age.waited(now) >= LATE || age.unreceived(now) >= SILENT
}
