//! State directories, running commands, and a program that webhooks are forwarded to.

pub(crate) mod running;
pub(crate) mod state_dir;
pub(crate) mod target;

use std::time::{Duration, Instant};

/// How long a step may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Returns bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until a condition is true.
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within 60 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}
