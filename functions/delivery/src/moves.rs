//! The events that entered and left the inbox in one invocation.

use std::mem;
use std::sync::{Mutex, PoisonError};

use crate::tally::Tally;

/// What entered and left the inbox in this invocation. It is kept apart from the outcomes of the messages, because an event
/// stays moved even if its message fails later.
#[derive(Default)]
pub(crate) struct Moves(Mutex<Tally>);

impl Moves {
    /// Adds what moved.
    pub(crate) fn add(&self, moved: &Tally) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = mem::take(&mut *sum).plus(moved);
    }

    /// Returns the numbers, and begins anew.
    pub(crate) fn take(&self) -> Tally {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
