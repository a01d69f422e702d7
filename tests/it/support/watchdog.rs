//! An end for a run of the tests that hangs.

use std::io::{self, Write};
use std::process;
use std::sync::Once;
use std::thread;
use std::time::Duration;

/// How long a run may take. It takes a quarter of this beside a busy process on two cores.
const LONGEST_RUN: Duration = Duration::from_mins(30);

static STARTED: Once = Once::new();

/// Starts the watchdog, once per process: it fails the whole run when a test hangs.
///
/// The test harness has no such limit of its own: CI would wait until its own limit, and show no failure.
pub(crate) fn start() {
    STARTED.call_once(|| {
        thread::spawn(|| {
            thread::sleep(LONGEST_RUN);
            let message = format!("A test hangs: the run has not ended within {LONGEST_RUN:?}. It is one of those without a result.");
            let _closed = writeln!(io::stderr(), "{message}");
            process::exit(1);
        });
    });
}
