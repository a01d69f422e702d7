//! Stories that do not run at the same time: one takes all processors for a minute, the other measures how long events take.

use std::sync::{Mutex, MutexGuard, PoisonError};

static BUSY: Mutex<()> = Mutex::new(());

/// Waits until no other of these stories runs. The story that called this runs alone of them until it drops the guard.
pub(crate) fn apart_from_busy_stories() -> MutexGuard<'static, ()> {
    BUSY.lock().unwrap_or_else(PoisonError::into_inner)
}
