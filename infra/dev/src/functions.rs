//! The functions' processes: started, started again when they die, and when their binary changes.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, PipeReader};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::environment;
use crate::error::{Doing as _, Error};
use crate::output::Output;
use crate::process::{ProcessId, wait_until};
use crate::session::Session;

/// Each process handles one event at a time, so there is more than one of each function.
pub(crate) const PROCESSES_PER_FUNCTION: usize = 2;

/// A process that dies sooner than this died at its start.
const AT_START: Duration = Duration::from_secs(2);

/// The longest pause before a process that keeps dying at its start is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One function: what its processes run, and with which environment.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name, which is also that of its folder and binary.
    pub(crate) name: String,
    /// The binary.
    pub(crate) binary: PathBuf,
    /// The whole environment its processes get.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where their lines go.
    pub(crate) output: Output,
}

/// All processes of all functions.
#[derive(Debug)]
pub(crate) struct Functions {
    workers: Vec<(Arc<Worker>, JoinHandle<()>)>,
}

/// One place for one process: the process itself changes whenever it dies.
#[derive(Debug)]
struct Worker {
    function: Arc<Function>,
    session: Arc<Session>,
    running: Mutex<Option<ProcessId>>,
    replaced: AtomicBool,
}

impl Functions {
    /// Starts the processes of every function; each is kept alive by a thread of its own.
    pub(crate) fn start(session: &Arc<Session>, functions: Vec<Function>) -> Self {
        let mut workers = Vec::new();
        for function in functions.into_iter().map(Arc::new) {
            for _ in 0..PROCESSES_PER_FUNCTION {
                let worker = Arc::new(Worker {
                    function: Arc::clone(&function),
                    session: Arc::clone(session),
                    running: Mutex::new(None),
                    replaced: AtomicBool::new(false),
                });
                let thread = thread::spawn({
                    let worker = Arc::clone(&worker);
                    move || worker.keep_alive()
                });
                workers.push((worker, thread));
            }
        }
        Self { workers }
    }

    /// The environment of a function's processes.
    pub(crate) fn environment(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.of(name).next().map(|worker| &worker.function.environment)
    }

    /// The processes of a function that run at this moment.
    pub(crate) fn processes(&self, name: &str) -> Vec<ProcessId> {
        self.of(name).filter_map(|worker| worker.running().clone()).collect()
    }

    /// Ends a function's processes, which start again with the binary as it is now; `false` if
    /// there is no such function.
    pub(crate) fn replace(&self, name: &str) -> bool {
        for worker in self.of(name) {
            worker.replaced.store(true, Ordering::SeqCst);
            if let Some(process) = worker.running().as_ref() {
                process.terminate();
            }
        }
        self.of(name).next().is_some()
    }

    /// Waits for the threads; the session must have been ended before.
    pub(crate) fn join(&mut self) {
        for (_, thread) in self.workers.drain(..) {
            let _panicked = thread.join();
        }
    }

    fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Worker> {
        self.workers
            .iter()
            .map(|(worker, _)| worker.as_ref())
            .filter(move |worker| worker.function.name == name)
    }
}

impl Worker {
    fn keep_alive(&self) {
        let mut early_deaths = 0;
        while !self.session.is_ending() {
            self.replaced.store(false, Ordering::SeqCst);
            let begun = Instant::now();
            let ended = self.run_once();
            if self.is_wanted_now() {
                continue;
            }
            early_deaths = if begun.elapsed() < AT_START { early_deaths + 1 } else { 0 };
            let pause = pause_after(early_deaths);
            let how = ended.unwrap_or_else(|error| error.to_string());
            self.function.output.line(&format!("ended ({how}), starts again{}", in_words(pause)));
            wait_until(pause, || self.is_wanted_now());
        }
    }

    /// Whether there is a better reason to go on than that the process died.
    fn is_wanted_now(&self) -> bool {
        self.session.is_ending() || self.replaced.load(Ordering::SeqCst)
    }

    /// One life of the process; tells how it ended.
    fn run_once(&self) -> Result<String, Error> {
        let (mut child, lines) = self.spawn()?;
        *self.running() = ProcessId::of(child.id());
        for line in BufReader::new(lines).lines().map_while(Result::ok) {
            self.function.output.line(&line);
        }
        let status = child.wait().doing(|| format!("wait for {}", self.function.name));
        *self.running() = None;
        status.map(|status| status.to_string())
    }

    /// Starts the process with nothing but its own environment, as in Lambda.
    fn spawn(&self) -> Result<(Child, PipeReader), Error> {
        let (lines, writer) = io::pipe().doing(|| "make a pipe".to_owned())?;
        let mut command = Command::new(&self.function.binary);
        environment::bare(&mut command);
        command.envs(&self.function.environment);
        command.stdout(writer.try_clone().doing(|| "share a pipe".to_owned())?).stderr(writer);
        Ok((self.session.spawn(&mut command)?, lines))
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<ProcessId>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// None for the first death, then twice as long for each further one.
fn pause_after(early_deaths: u32) -> Duration {
    if early_deaths < 2 {
        return Duration::ZERO;
    }
    LONGEST_PAUSE.min(Duration::from_millis(100) * 2_u32.saturating_pow(early_deaths - 1))
}

fn in_words(pause: Duration) -> String {
    if pause.is_zero() { String::new() } else { format!(" in {pause:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_keeps_dying_at_its_start_has_to_wait() {
        let pauses: Vec<u128> = (0..9).map(|deaths| pause_after(deaths).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }
}
