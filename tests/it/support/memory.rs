//! How much memory something takes, in a process where nothing else happens.

use std::fs;
use std::future::Future;
use std::process::Command;

use triggers::config::is;

/// Set in the process that runs one test alone.
const ALONE: &str = "TRIGGERS_TEST_ALONE";

/// Runs the body of this test in a process of its own.
pub(crate) fn run_alone(test: &str, body: impl FnOnce()) {
    if is(ALONE, "yes") {
        return body();
    }
    let this = std::env::current_exe().expect("this program");
    let mut command = Command::new(this);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ALONE, "yes");
    let output = command.output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{printed}");
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// By how many bytes the process grew at most while this ran. Where the system does not tell, by none.
pub(crate) async fn growth_of<T>(act: impl Future<Output = T>) -> u64 {
    let _only_linux_knows = fs::write("/proc/self/clear_refs", "5"); // the peak begins anew
    let before = status("VmRSS:");
    act.await;
    status("VmHWM:").saturating_sub(before)
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
