//! The processes of the functions. They restart when they end, and when their binary changes.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, PipeReader};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::environment;
use crate::error::{Error, IoContext as _};
use crate::output::Output;
use crate::process::{ProcessId, wait_until};
use crate::session::Session;

/// A process that ends sooner than this counts as a failed start.
const MIN_RUN_TIME: Duration = Duration::from_secs(2);

/// The longest pause before the restart of a process that repeatedly fails to start.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// A function: the binary and the environment of its processes.
#[derive(Debug)]
pub(crate) struct Function {
    /// The name of the function, of its folder and of its binary.
    pub(crate) name: String,
    /// The path of the binary.
    pub(crate) binary: PathBuf,
    /// The environment variables of its processes.
    pub(crate) environment: BTreeMap<String, String>,
    /// The output of its processes.
    pub(crate) output: Output,
    /// The number of its processes. One process handles one invocation at a time.
    pub(crate) processes: usize,
}

/// All processes of all functions.
#[derive(Debug)]
pub(crate) struct Functions {
    functions: Vec<Arc<Function>>,
    workers: Vec<(Arc<Worker>, JoinHandle<()>)>,
}

/// Runs one process of a function, and restarts it each time it ends.
#[derive(Debug)]
struct Worker {
    function: Arc<Function>,
    session: Arc<Session>,
    running: Mutex<Option<ProcessId>>,
    restarting: AtomicBool,
}

impl Functions {
    /// Starts the processes of every function. One thread keeps each process running.
    pub(crate) fn start(session: &Arc<Session>, functions: Vec<Function>) -> Self {
        let functions: Vec<_> = functions.into_iter().map(Arc::new).collect();
        let mut workers = Vec::new();
        for function in &functions {
            for _ in 0..function.processes {
                let worker = Arc::new(Worker {
                    function: Arc::clone(function),
                    session: Arc::clone(session),
                    running: Mutex::new(None),
                    restarting: AtomicBool::new(false),
                });
                let thread = thread::spawn({
                    let worker = Arc::clone(&worker);
                    move || worker.keep_running()
                });
                workers.push((worker, thread));
            }
        }
        Self { functions, workers }
    }

    /// Returns the environment variables of a function's processes.
    pub(crate) fn environment(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.functions.iter().find(|function| function.name == name).map(|function| &function.environment)
    }

    /// Returns the running processes of a function.
    pub(crate) fn processes(&self, name: &str) -> Vec<ProcessId> {
        self.workers_of(name).filter_map(|worker| worker.running().clone()).collect()
    }

    /// Restarts the processes of a function with the current binary. Returns `false` if there is no
    /// such function.
    pub(crate) fn restart(&self, name: &str) -> bool {
        for worker in self.workers_of(name) {
            worker.restarting.store(true, Ordering::SeqCst);
            if let Some(process) = worker.running().as_ref() {
                process.terminate();
            }
        }
        self.workers_of(name).next().is_some()
    }

    /// Waits for all threads. Call it after [`Session::stop`], or it waits forever.
    pub(crate) fn join(&mut self) {
        for (_, thread) in self.workers.drain(..) {
            let _panicked = thread.join();
        }
    }

    fn workers_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Worker> {
        self.workers
            .iter()
            .map(|(worker, _)| worker.as_ref())
            .filter(move |worker| worker.function.name == name)
    }
}

impl Worker {
    fn keep_running(&self) {
        let mut failed_starts = 0;
        while !self.session.is_stopping() {
            self.restarting.store(false, Ordering::SeqCst);
            let started_at = Instant::now();
            let result = self.run_once();
            if self.skips_pause() {
                continue;
            }
            failed_starts = if started_at.elapsed() < MIN_RUN_TIME { failed_starts + 1 } else { 0 };
            let pause = pause_after(failed_starts);
            let status = result.unwrap_or_else(|error| error.to_string());
            self.function.output.write_line(&format!("ended ({status}); restarts {}", format_pause(pause)));
            wait_until(pause, || self.skips_pause());
        }
    }

    /// Whether the loop continues at once: the session is stopping, or [`Functions::restart`] was
    /// called.
    fn skips_pause(&self) -> bool {
        self.session.is_stopping() || self.restarting.load(Ordering::SeqCst)
    }

    /// Runs the process until it ends. Returns its exit status as text.
    fn run_once(&self) -> Result<String, Error> {
        let (mut child, lines) = self.spawn()?;
        *self.running() = ProcessId::of(child.id());
        for line in BufReader::new(lines).lines().map_while(Result::ok) {
            self.function.output.write_line(&line);
        }
        let status = child.wait().context(|| format!("wait for {}", self.function.name));
        *self.running() = None;
        status.map(|status| status.to_string())
    }

    /// Starts the process. As in Lambda, it gets only the environment of its function.
    fn spawn(&self) -> Result<(Child, PipeReader), Error> {
        let (lines, writer) = io::pipe().context(|| "create a pipe".to_owned())?;
        let mut command = Command::new(&self.function.binary);
        environment::clear_environment(&mut command);
        command.envs(&self.function.environment);
        command.stdout(writer.try_clone().context(|| "duplicate a pipe".to_owned())?).stderr(writer);
        Ok((self.session.spawn(&mut command)?, lines))
    }

    fn running(&self) -> MutexGuard<'_, Option<ProcessId>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the pause before a restart: none after the first failed start, then 200 ms, doubled with
/// each failed start, up to [`MAX_PAUSE`].
fn pause_after(failed_starts: u32) -> Duration {
    if failed_starts < 2 {
        return Duration::ZERO;
    }
    MAX_PAUSE.min(Duration::from_millis(100) * 2_u32.saturating_pow(failed_starts - 1))
}

fn format_pause(pause: Duration) -> String {
    if pause.is_zero() { "now".to_owned() } else { format!("in {pause:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_repeatedly_fails_to_start_restarts_after_a_pause() {
        let pauses: Vec<u128> = (0..9).map(|failed| pause_after(failed).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause_after(u32::MAX), MAX_PAUSE);
    }
}
