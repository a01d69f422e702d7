//! Decides whether the function delivery is late. While it is stopped or far behind, new events are put into the inbox from their
//! birth, so that a client can pull what no webhook brings, and the limit of the backlog counts it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::timestamp::Timestamp;
use store::limits::Limits;
use store::limits::counters::QueueName;
use store::limits::queue_age::QueueAge;
use store::table::Table;

/// The interval between two readings of the wait of `deliveries`.
const INTERVAL: Duration = Duration::from_secs(30);

/// The wait of `deliveries` from which on delivery is late: far longer than that of any message while delivery keeps up.
const LATE: Duration = Duration::from_secs(60);

/// How long nothing may be received from `deliveries` before delivery is late. Delivery stores a wait with each batch.
const SILENT: Duration = Duration::from_secs(120);

/// What this instance knows of the queue `deliveries`.
pub(crate) struct Lateness<T> {
    limits: Limits<T>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    read_at: Option<Timestamp>,
    age: QueueAge,
}

impl<T: Table> Lateness<T> {
    /// Returns a look at the queue that has read nothing.
    pub(crate) fn new(limits: Limits<T>) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Returns whether delivery is late at `now`. Reads the wait again if the interval is over. If the table does not answer,
    /// delivery is not late.
    pub(crate) async fn is_late(&self, now: Timestamp) -> bool {
        if self.starts_reading(now) {
            match self.limits.wait(QueueName::Deliveries).await {
                Ok(wait) => self.state().age.take_reading(wait, Duration::ZERO),
                Err(error) => {
                    tracing::warn!(cause = %error, "the wait of deliveries is unknown; new events are not put into the inbox because of it");
                    self.state().age = QueueAge::default();
                }
            }
        }
        let age = self.state().age;
        age.waited(now) >= LATE || age.unreceived(now) >= SILENT
    }

    /// Records that delivery messages were sent.
    pub(crate) fn record_send(&self, now: Timestamp) {
        self.state().age.record_send(now);
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
