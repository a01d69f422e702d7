//! What a scenario measured.

use crate::bill::Bill;
use crate::counts::Counts;
use crate::system::System;

/// What a scenario measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The events.
    pub events: u64,
    /// What was billed for them.
    pub counts: Counts,
    /// The bytes that they left in the table `Events`.
    pub stored_bytes: u64,
}

impl Measured {
    /// Returns the bill of one event, times a million.
    #[must_use]
    pub fn bill(&self) -> Bill {
        Bill::of(&self.counts, self.stored_bytes).per_million(self.events)
    }
}

/// A measurement that has begun.
pub struct Measurement {
    stored_bytes: u64,
}

impl Measurement {
    /// Begins to measure: forgets what the warm-up did.
    #[must_use]
    pub fn begin(system: &System) -> Self {
        drop(system.take_invocations());
        Self { stored_bytes: system.stored_bytes() }
    }

    /// Ends the measurement of this many events.
    #[must_use]
    pub fn end(self, system: &System, events: u64) -> Measured {
        let counts = Counts::of(&system.take_invocations());
        let stored_bytes = system.stored_bytes().saturating_sub(self.stored_bytes);
        Measured { events, counts, stored_bytes }
    }
}
