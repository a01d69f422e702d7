//! Simulated time: the paused clock of tokio, which only the calls of the ports move.

use std::future::Future;

use domain::testing::START;
use domain::timestamp::Timestamp;
use store::clock::Clock;
use tokio::runtime::Builder;
use tokio::time::Instant;

/// A clock that shows the simulated time.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedClock(Instant);

impl SimulatedClock {
    /// Returns a clock that shows [`START`] now. Must be called in paused time.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        START.after(self.0.elapsed())
    }
}

/// Runs this in simulated time: it passes only while all wait.
///
/// # Panics
/// If the runtime does not start.
pub fn in_simulated_time<R>(work: impl Future<Output = R>) -> R {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without input and output").block_on(Box::pin(work))
}
