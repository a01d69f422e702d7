//! A session: the lock of a state directory, and the processes that its owner starts and stops.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, IoContext as _};
use crate::process::{self, ProcessId};
use crate::state::{State, Summary};

/// The exclusive owner of a state directory. It starts every process of a stack.
///
/// Dropping it stops them all.
#[derive(Debug)]
pub(crate) struct Session {
    dir: PathBuf,
    inner: Mutex<Inner>,
    /// Held while the session lives. The operating system releases it when the process ends, even
    /// by SIGKILL.
    _lock: Lock,
}

#[derive(Debug)]
struct Inner {
    state: State,
    guard: Option<Child>,
    stopping: bool,
}

impl Session {
    /// Locks `dir`, and stops the processes that a killed owner left behind there.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir.join("logs")).context(|| format!("create {}", dir.display()))?;
        let absolute_dir = dir.canonicalize().context(|| format!("find {}", dir.display()))?;
        let lock = take_lock(&absolute_dir)?;
        if let Some(left_behind) = State::load(&absolute_dir) {
            process::stop(&left_behind.processes);
        }
        let owner = ProcessId::of(id()).ok_or(Error::Stopping)?;
        let state = State { owner, processes: Vec::new(), summary: None };
        state.save(&absolute_dir)?;
        let inner = Mutex::new(Inner { state, guard: None, stopping: false });
        Ok(Self { dir: absolute_dir, inner, _lock: lock })
    }

    /// Returns the state directory as an absolute path.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of the log of `name`.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    /// Starts a process and records it in the state.
    ///
    /// The process gets its own process group. So Ctrl-C in the terminal reaches only the owner.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child, Error> {
        let mut inner = self.inner();
        if inner.stopping {
            return Err(Error::Stopping);
        }
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .context(|| format!("start {}", command.get_program().display()))?;
        inner.state.processes.retain(ProcessId::is_alive);
        inner.state.processes.extend(ProcessId::of(child.id()));
        inner.state.save(&self.dir)?;
        Ok(child)
    }

    /// Starts a process. Its standard output and standard error go to an empty log.
    pub(crate) fn spawn_logged(&self, name: &str, command: &mut Command) -> Result<LoggedProcess, Error> {
        let log = self.log(name);
        File::create(&log).context(|| format!("write {}", log.display()))?;
        append_output(command, &log)?;
        let child = Mutex::new(self.spawn(command)?);
        Ok(LoggedProcess { name: format!("the {name}"), log, child })
    }

    /// Kills a process with a log, and starts it again with `command`.
    pub(crate) fn respawn(&self, process: &LoggedProcess, command: &mut Command) -> Result<(), Error> {
        let mut child = process.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _already_ended = child.kill();
        child.wait().context(|| format!("wait for {}", process.name))?;
        append_output(command, &process.log)?;
        *child = self.spawn(command)?;
        Ok(())
    }

    /// Starts the guard. It stops all other processes if this process is killed.
    pub(crate) fn start_guard(&self, dev: &Path) -> Result<(), Error> {
        let mut command = Command::new(dev);
        command.arg("guard").arg(&self.dir).arg(id().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let guard = command.spawn().context(|| format!("start {}", dev.display()))?;
        self.inner().guard = Some(guard);
        Ok(())
    }

    /// Records that the stack is ready, so that other commands can use it.
    pub(crate) fn publish(&self, summary: &Summary) -> Result<(), Error> {
        let mut inner = self.inner();
        inner.state.summary = Some(summary.clone());
        inner.state.save(&self.dir)
    }

    /// Whether the session is stopping. Then it starts no more processes.
    pub(crate) fn is_stopping(&self) -> bool {
        self.inner().stopping
    }

    /// Returns [`Error::Stopping`] if the session is stopping, else `error`.
    ///
    /// While a session stops, other calls fail too. Their errors do not show the real cause.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if self.is_stopping() { Error::Stopping } else { error }
    }

    /// Stops every process of this session. It cannot start processes afterwards.
    pub(crate) fn stop(&self) {
        let mut inner = self.inner();
        inner.stopping = true;
        process::stop(&std::mem::take(&mut inner.state.processes));
        if let Some(mut guard) = inner.guard.take() {
            drop(guard.stdin.take());
            let _ended = guard.wait();
        }
        State::remove(&self.dir);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether an owner holds the lock of `dir`: a stack runs there, or starts.
///
/// An owner takes an exclusive lock. This check takes a shared lock, so two checks at the same time
/// do not mistake each other for an owner.
pub(crate) fn is_locked(dir: &Path) -> bool {
    let file = OpenOptions::new().read(true).open(lock_path(dir));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Takes the owner's lock of `dir`.
///
/// The shared lock of a check by [`is_locked`] can block it for a moment. It retries until it gets
/// the lock or finds an owner.
fn take_lock(dir: &Path) -> Result<Lock, Error> {
    let path = lock_path(dir);
    let action = || format!("lock {}", path.display());
    let file = OpenOptions::new().create(true).append(true).open(&path).context(action)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) if is_locked(dir) => {
                return Err(Error::AlreadyRunning(dir.to_path_buf()));
            }
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(TryLockError::Error(source)) => return Err(source).context(action),
        }
    }
}

/// The lock of an owner. It is released explicitly: a process that is being started has a copy of the open file for a moment,
/// which would hold the lock after the file is closed here.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _closed_soon = self.0.unlock();
    }
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// Lets a process write to the end of a log.
fn append_output(command: &mut Command, log: &Path) -> Result<(), Error> {
    let action = || format!("write {}", log.display());
    let file = File::options().append(true).open(log).context(action)?;
    command.stderr(file.try_clone().context(action)?).stdout(file);
    Ok(())
}

/// A process with a log.
#[derive(Debug)]
pub(crate) struct LoggedProcess {
    name: String,
    log: PathBuf,
    child: Mutex<Child>,
}

impl LoggedProcess {
    /// Returns an error if this process has ended.
    pub(crate) fn check_ended(&self) -> Option<Error> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = !matches!(child.try_wait(), Ok(None));
        ended.then(|| self.error("ended unexpectedly"))
    }

    /// Creates an error about this process: what happened, and the last line of its log.
    pub(crate) fn error(&self, what: &'static str) -> Error {
        let last = read_last_line(&self.log);
        Error::Process { name: self.name.clone(), what, last, log: self.log.clone() }
    }
}

/// Returns the last line of a log that is not blank.
pub(crate) fn read_last_line(log: &Path) -> String {
    let lines = File::open(log).map(|file| BufReader::new(file).lines().map_while(Result::ok));
    let last = lines.ok().and_then(|lines| lines.filter(|line| !line.trim().is_empty()).last());
    last.unwrap_or_else(|| "(the log is empty)".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{env, fs, thread};

    use super::{is_locked, take_lock};

    #[test]
    fn checks_never_keep_an_owner_from_its_lock() {
        let dir = env::temp_dir().join(format!("triggers-lock-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        is_locked(&dir);
                    }
                });
            }
            let taken = (0..1000).filter(|_| take_lock(&dir).is_ok()).count();
            done.store(true, Ordering::Relaxed);
            assert_eq!(taken, 1000);
        });
        let owner = take_lock(&dir).unwrap();
        assert!(is_locked(&dir) && take_lock(&dir).is_err(), "a second owner is rejected");
        drop(owner);
        assert!(!is_locked(&dir));
        fs::remove_dir_all(&dir).unwrap();
    }
}
