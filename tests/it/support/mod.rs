//! What the stories stand on: the running stack, its callers and receivers, and the one way to wait.

use std::thread;
use std::time::{Duration, Instant};

pub(crate) mod stack;

pub(crate) mod client;

pub(crate) mod receiver;

pub(crate) mod aws;

pub(crate) mod tables;

pub(crate) mod metrics;

pub(crate) mod python;

pub(crate) mod runtime;

mod wire;

/// How long anything may take. Far longer than it does: a test machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest pause between two questions; the first ones come fast after another.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Asks again until there is an answer; the only place where a test waits.
pub(crate) fn eventually<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(pause);
        pause = LONGEST_PAUSE.min(pause * 3 / 2);
    }
}
