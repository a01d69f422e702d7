//! A process told apart from a later one with the same number, and how it is ended.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

/// How long a process may take to end after TERM before it gets KILL.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running process: its number and when it started, since numbers are used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// The process number.
    pub(crate) pid: u32,
    started: String,
}

impl ProcessId {
    /// Describes the process that has this number now; `None` if nothing runs under it.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        started(pid).map(|started| Self { pid, started })
    }

    /// Whether this very process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Asks this process alone to end.
    pub(crate) fn terminate(&self) {
        if let Some(pid) = self.checked() {
            let _gone_already = kill_process(pid, Signal::TERM);
        }
    }

    /// Ends this process at once, without asking.
    pub(crate) fn kill(&self) {
        if let Some(pid) = self.checked() {
            let _gone_already = kill_process(pid, Signal::KILL);
        }
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.checked() {
            let _gone_already = kill_process_group(pid, signal);
        }
    }

    fn checked(&self) -> Option<Pid> {
        self.is_alive().then(|| i32::try_from(self.pid).ok().and_then(Pid::from_raw)).flatten()
    }
}

/// Ends processes that lead their own group, and with each its group: TERM, a bounded wait, KILL.
pub(crate) fn end(processes: &[ProcessId]) {
    for process in processes {
        process.signal_group(Signal::TERM);
    }
    let all_gone = || !processes.iter().any(ProcessId::is_alive);
    if !wait_until(PATIENCE, all_gone) {
        for process in processes {
            process.signal_group(Signal::KILL);
        }
        wait_until(PATIENCE, all_gone);
    }
}

/// Polls until `condition` holds; `false` if it still does not after `patience`.
pub(crate) fn wait_until(patience: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

/// When a live process started, in whatever form the system tells it.
fn started(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") { started_by_proc(pid) } else { started_by_ps(pid) }
}

/// Linux: fields 3 (state) and 22 (start in ticks since boot) of `/proc/<pid>/stat`; field 2, the
/// name, may hold blanks and parentheses, so counting starts behind its last one.
fn started_by_proc(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

/// Elsewhere (macOS): `ps` knows the same.
fn started_by_ps(pid: u32) -> Option<String> {
    let mut ps = Command::new("ps");
    ps.args(["-o", "state=,lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C").env("TZ", "UTC");
    let answer = ps.output().ok()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let (state, started) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Stdio;

    use super::*;

    fn sleeper() -> std::process::Child {
        Command::new("sleep").arg("60").stdin(Stdio::null()).process_group(0).spawn().unwrap()
    }

    #[test]
    fn a_process_is_alive_until_it_is_ended() {
        let mut child = sleeper();
        let process = ProcessId::of(child.id()).unwrap();
        assert!(process.is_alive());
        end(std::slice::from_ref(&process));
        assert!(!process.is_alive(), "a zombie counts as ended");
        child.wait().unwrap();
    }

    #[test]
    fn another_process_with_the_same_number_is_left_alone() {
        let mut child = sleeper();
        let earlier = ProcessId { pid: child.id(), started: "0".to_owned() };
        assert!(!earlier.is_alive());
        earlier.kill();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
