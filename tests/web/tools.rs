//! Programs that some examples need, and child processes that end with their test.

use std::env;
use std::fs::{self, File};
use std::io::{Write as _, stderr};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use dev::stack::find_python;
use runtime::config;

use crate::stack;

/// The variable that makes an absent Go, Ruby or PHP a failure, as in CI.
const REQUIRED: &str = "EXAMPLE_STORIES";

const PATIENCE: Duration = Duration::from_secs(60);

static PYTHON: LazyLock<PathBuf> =
    LazyLock::new(|| find_python().unwrap_or_else(|error| panic!("no Python: {error}")));

/// Returns the folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// Says in one line what does not run, and why. Fails if this variable is `required`, as in CI.
pub(crate) fn skip(variable: &'static str, reason: &str) {
    assert!(!config::is(variable, "required"), "{reason}, and {variable} is `required`");
    // Not a macro: the test harness would keep the line for itself.
    let _closed = writeln!(stderr(), "{reason}");
}

/// Returns the interpreter of `.venv`, which has the packages of the tests.
pub(crate) fn python() -> &'static Path {
    &PYTHON
}

/// Returns whether a program is there. If it is not, says in one line what does not run therefore, or fails in CI.
pub(crate) fn is_found(program: &str, consequence: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_found = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !is_found {
        skip(REQUIRED, &format!("there is no {program}: {consequence}"));
    }
    is_found
}

/// Returns a port that no process uses.
pub(crate) fn find_free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port()
}

/// Calls a function until it returns something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, probe: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 60 s: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command to its end. Returns what it wrote; fails with it if the command fails.
#[track_caller]
pub(crate) fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Builds a Rust example. Returns the path of its program.
pub(crate) fn build_example(folder: &str, name: &str) -> PathBuf {
    build_workspace(&format!("examples/{folder}"), name)
}

/// Builds a workspace of its own. Returns the path of its program.
pub(crate) fn build_workspace(folder: &str, name: &str) -> PathBuf {
    let _turn = stack::take_turn();
    let manifest = root().join(folder).join("Cargo.toml");
    let target = root().join("target/examples");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
    output_of(cargo.arg("--target-dir").arg(&target));
    target.join("debug").join(name)
}

/// A server that runs until it is dropped. What it writes goes to a file.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server, and waits until it accepts connections on its port.
    pub(crate) fn start(name: &str, port: u16, command: &mut Command) -> Self {
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{port}.log"));
        let file = File::create(&log).expect("a file");
        let output = file.try_clone().expect("the same file");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(file).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let server = Self { child, log };
        eventually(&format!("{name} listens: {command:?}"), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        server
    }

    /// Returns what the server has written.
    pub(crate) fn written(&self) -> String {
        fs::read_to_string(&self.log).expect("its output")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _status = self.child.wait();
        let _absent = fs::remove_file(&self.log);
    }
}
