//! What the stories stand on: the memory stack, its callers and receivers, and the one way to wait.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ::aws::system_clock::SystemClock;
use ::runtime::config::required;
use store::clock::Clock;

pub(crate) mod alone;
pub(crate) mod answering;
pub(crate) mod authority;
pub(crate) mod aws;
pub(crate) mod belongings;
pub(crate) mod client;
pub(crate) mod configs;
pub(crate) mod consumer;
pub(crate) mod detour;
pub(crate) mod fair_queue;
pub(crate) mod hostile;
pub(crate) mod instances;
pub(crate) mod lines;
pub(crate) mod loaded;
pub(crate) mod memory_stack;
pub(crate) mod metrics;
pub(crate) mod name_server;
pub(crate) mod openapi;
pub(crate) mod orders;
pub(crate) mod place;
pub(crate) mod python;
pub(crate) mod raw;
pub(crate) mod read_units;
pub(crate) mod receiver;
pub(crate) mod simulation;
pub(crate) mod spellings;
pub(crate) mod tables;
pub(crate) mod template;
pub(crate) mod watchdog;
pub(crate) mod wire;

/// How long anything may take. Far longer than it does: a test machine may be busy.
const PATIENCE: Duration = Duration::from_mins(3);

/// The longest pause between two questions; the first ones come fast after another.
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// Returns the folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

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
        pause = MAX_PAUSE.min(pause * 3 / 2);
    }
}

/// How much of something a test does: as the environment says, or by default.
pub(crate) fn size(variable: &'static str, default: u64) -> u64 {
    required(variable).map_or(default, |digits| digits.parse().expect("a number"))
}

/// Runs a story within one minute of the clock: begins early in one, and again if it still crossed into the next.
pub(crate) fn within_one_minute<T>(story: impl Fn() -> T) -> T {
    for _ in 0..3 {
        eventually("enough of the minute is left", || (SystemClock.now().seconds() % 60 < 40).then_some(()));
        let began = SystemClock.now().minutes();
        let told = story();
        if SystemClock.now().minutes() == began {
            return told;
        }
    }
    panic!("the story takes longer than a third of a minute");
}
