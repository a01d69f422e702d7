//! The port to the time of day.

use domain::timestamp::Timestamp;

/// The time of day.
pub trait Clock: Clone + Send + Sync + 'static {
    /// Returns the present time.
    fn now(&self) -> Timestamp;
}
