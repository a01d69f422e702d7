//! A process of its own for a test that measures its process.

use std::process::Command;
use std::{env, fs};

use runtime::config::required;

const ALONE: &str = "TEST_RUNS_ALONE";

/// Whether this test is alone in its process; if not, runs it again in one of its own, and fails with it.
pub(crate) fn alone(test: &str) -> bool {
    if required(ALONE).is_ok() {
        return true;
    }
    let myself = env::current_exe().expect("a program");
    let output = Command::new(myself).args(["--exact", test, "--nocapture"]).env(ALONE, "1").output();
    let output = output.expect("a process");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    print!("{}", said(&output.stdout));
    assert!(output.status.success(), "{}", said(&output.stderr));
    false
}

/// The resident memory of this process in KiB; `None` where the system does not tell.
pub(crate) fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
