//! Identifies a process by its number and start time, and stops processes.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

/// How long a process may take to end after SIGTERM, before SIGKILL.
/// The emulator writes its state meanwhile.
const TERM_TIMEOUT: Duration = Duration::from_secs(10);

/// A running process: its number and its start time. The system reuses the numbers of ended
/// processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// The process number.
    pub(crate) pid: u32,
    started: String,
}

impl ProcessId {
    /// Returns the process that has this number now. Returns `None` if there is none.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        read_start_time(pid).map(|started| Self { pid, started })
    }

    /// Whether exactly this process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends SIGTERM to this process, not to its group.
    pub(crate) fn terminate(&self) {
        if let Some(pid) = self.live_pid() {
            let _already_ended = kill_process(pid, Signal::TERM);
        }
    }

    /// Sends SIGKILL to this process, not to its group.
    pub(crate) fn kill(&self) {
        if let Some(pid) = self.live_pid() {
            let _already_ended = kill_process(pid, Signal::KILL);
        }
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.live_pid() {
            let _already_ended = kill_process_group(pid, signal);
        }
    }

    fn live_pid(&self) -> Option<Pid> {
        self.is_alive().then(|| i32::try_from(self.pid).ok().and_then(Pid::from_raw)).flatten()
    }
}

/// Stops the process groups that these processes lead: sends SIGTERM, waits, then sends SIGKILL.
pub(crate) fn stop(processes: &[ProcessId]) {
    for process in processes {
        process.signal_group(Signal::TERM);
    }
    let all_ended = || !processes.iter().any(ProcessId::is_alive);
    if !wait_until(TERM_TIMEOUT, all_ended) {
        for process in processes {
            process.signal_group(Signal::KILL);
        }
        wait_until(TERM_TIMEOUT, all_ended);
    }
}

/// Polls until `condition` is true. Returns `false` if it is not true within `timeout`.
pub(crate) fn wait_until(timeout: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Returns the start time of a live process. The format depends on the system.
fn read_start_time(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") { read_start_time_from_proc(pid) } else { read_start_time_from_ps(pid) }
}

/// Linux: reads fields 3 (state) and 22 (start time in ticks since boot) of `/proc/<pid>/stat`.
/// Field 2, the name in parentheses, may contain blanks and parentheses, so the fields are counted
/// from the last closing parenthesis.
fn read_start_time_from_proc(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

/// Other systems (macOS): reads the same facts from `ps`.
fn read_start_time_from_ps(pid: u32) -> Option<String> {
    let mut ps = Command::new("ps");
    ps.args(["-o", "state=,lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C").env("TZ", "UTC");
    let output = ps.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (state, started) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Stdio;

    use super::*;

    fn start_sleep() -> std::process::Child {
        Command::new("sleep").arg("60").stdin(Stdio::null()).process_group(0).spawn().unwrap()
    }

    #[test]
    fn a_process_is_alive_until_it_is_stopped() {
        let mut child = start_sleep();
        let process = ProcessId::of(child.id()).unwrap();
        assert!(process.is_alive());
        stop(std::slice::from_ref(&process));
        assert!(!process.is_alive(), "a zombie process counts as ended");
        child.wait().unwrap();
    }

    #[test]
    fn a_later_process_with_the_same_number_is_not_killed() {
        let mut child = start_sleep();
        let earlier = ProcessId { pid: child.id(), started: "0".to_owned() };
        assert!(!earlier.is_alive());
        earlier.kill();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
