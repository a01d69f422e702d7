//! One owner of one state directory: the lock, the processes started under it, and their end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Doing as _, Error};
use crate::process::{self, ProcessId};
use crate::state::{State, Summary};

/// The exclusive hold of a state directory; every process of a stack is started through it.
///
/// Dropping it ends them all.
#[derive(Debug)]
pub(crate) struct Session {
    dir: PathBuf,
    inner: Mutex<Inner>,
    /// Held for as long as the session lives; the system releases it however the process ends.
    _lock: File,
}

#[derive(Debug)]
struct Inner {
    state: State,
    guard: Option<Child>,
    ending: bool,
}

impl Session {
    /// Takes hold of `dir` and ends whatever an owner that was killed left behind there.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir.join("logs")).doing(|| format!("create {}", dir.display()))?;
        let dir = dir.canonicalize().doing(|| format!("find {}", dir.display()))?;
        let lock = take_lock(&dir)?;
        if let Some(left_behind) = State::load(&dir) {
            process::end(&left_behind.processes);
        }
        let owner = ProcessId::of(id()).ok_or(Error::Ending)?;
        let state = State { owner, processes: Vec::new(), summary: None };
        state.save(&dir)?;
        let inner = Mutex::new(Inner { state, guard: None, ending: false });
        Ok(Self { dir, inner, _lock: lock })
    }

    /// The state directory, as an absolute path.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the output of `name` goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    /// Starts a process in a group of its own, so that the terminal's Ctrl-C reaches the owner
    /// alone, and records it before anything else can happen.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child, Error> {
        let mut inner = self.inner();
        if inner.ending {
            return Err(Error::Ending);
        }
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .doing(|| format!("start {}", command.get_program().display()))?;
        inner.state.processes.retain(ProcessId::is_alive);
        inner.state.processes.extend(ProcessId::of(child.id()));
        inner.state.save(&self.dir)?;
        Ok(child)
    }

    /// Starts a process whose output, both kinds, goes to a fresh log of its own.
    pub(crate) fn spawn_logged(&self, name: &str, command: &mut Command) -> Result<Logged, Error> {
        let log = self.log(name);
        let doing = || format!("write {}", log.display());
        let file = File::create(&log).doing(doing)?;
        command.stderr(file.try_clone().doing(doing)?).stdout(file);
        let child = Mutex::new(self.spawn(command)?);
        Ok(Logged { name: format!("the {name}"), log, child })
    }

    /// Starts the guard that ends the rest if this process is killed.
    pub(crate) fn start_guard(&self, dev: &Path) -> Result<(), Error> {
        let mut command = Command::new(dev);
        command.arg("guard").arg(&self.dir).arg(id().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let guard = command.spawn().doing(|| format!("start {}", dev.display()))?;
        self.inner().guard = Some(guard);
        Ok(())
    }

    /// Makes the stack known to other commands as ready.
    pub(crate) fn announce(&self, summary: &Summary) -> Result<(), Error> {
        let mut inner = self.inner();
        inner.state.summary = Some(summary.clone());
        inner.state.save(&self.dir)
    }

    /// Whether nothing may be started any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.inner().ending
    }

    /// What to tell about an error: while the session is being ended, that alone is its reason.
    pub(crate) fn reason(&self, error: Error) -> Error {
        if self.is_ending() { Error::Ending } else { error }
    }

    /// Ends every process of this session; nothing can be started in it afterwards.
    pub(crate) fn end(&self) {
        let mut inner = self.inner();
        inner.ending = true;
        process::end(&std::mem::take(&mut inner.state.processes));
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
        self.end();
    }
}

/// Whether some process holds `dir`, that is, runs a stack or is starting one.
///
/// Only an owner's lock is exclusive; looking takes a shared one, so that two who look at the same
/// moment do not take each other for an owner.
pub(crate) fn is_held(dir: &Path) -> bool {
    let lock = OpenOptions::new().read(true).open(lock_file(dir));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Takes the owner's lock of `dir`. Somebody who only looks may be in the way for an instant:
/// as long as there is no owner, it is tried again.
fn take_lock(dir: &Path) -> Result<File, Error> {
    let path = lock_file(dir);
    let doing = || format!("lock {}", path.display());
    let file = OpenOptions::new().create(true).append(true).open(&path).doing(doing)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if is_held(dir) => {
                return Err(Error::AlreadyRunning(dir.to_path_buf()));
            }
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(TryLockError::Error(source)) => return Err(source).doing(doing),
        }
    }
}

fn lock_file(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// A process with a log, watched for its end.
#[derive(Debug)]
pub(crate) struct Logged {
    name: String,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Logged {
    /// The error that says so, once this process is no longer running.
    pub(crate) fn died(&self) -> Option<Error> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = !matches!(child.try_wait(), Ok(None));
        ended.then(|| self.error("died"))
    }

    /// An error about this process: what happened, and the last line of its log.
    pub(crate) fn error(&self, what: &'static str) -> Error {
        Error::Process { name: self.name.clone(), what, last: last_line(&self.log), log: self.log.clone() }
    }
}

/// The last line of a log that is not blank.
pub(crate) fn last_line(log: &Path) -> String {
    let lines = File::open(log).map(|file| BufReader::new(file).lines().map_while(Result::ok));
    let last = lines.ok().and_then(|lines| lines.filter(|line| !line.trim().is_empty()).last());
    last.unwrap_or_else(|| "nothing was written".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{env, fs, thread};

    use super::{is_held, take_lock};

    #[test]
    fn those_who_look_never_keep_an_owner_out() {
        let dir = env::temp_dir().join(format!("triggers-lock-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        is_held(&dir);
                    }
                });
            }
            let taken = (0..1000).filter(|_| take_lock(&dir).is_ok()).count();
            done.store(true, Ordering::Relaxed);
            assert_eq!(taken, 1000);
        });
        let owner = take_lock(&dir).unwrap();
        assert!(is_held(&dir) && take_lock(&dir).is_err(), "a second owner is refused");
        drop(owner);
        assert!(!is_held(&dir));
        fs::remove_dir_all(&dir).unwrap();
    }
}
