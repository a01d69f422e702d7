//! The Python tools of `cargo dev`, installed into the project's own `.venv` with pinned versions.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::environment;
use crate::error::{Error, IoContext as _};
use crate::session::{self, Session};

/// The interpreters to try, in this order.
const PYTHONS: [&str; 7] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// A Python program that prints its version, and fails if it cannot create a virtual environment.
const PROBE: &str = "import sys; print('%d.%d' % sys.version_info[:2]); import venv, ensurepip";

/// The packages that `cargo dev` needs: file, stamp in `.venv`, and what they are.
const OF_THE_STACK: Group = Group {
    file: "infra/dev/requirements.txt",
    stamp: "stamp",
    what: "the emulator and cargo-lambda (40 MB)",
};

/// The packages that only the tests need.
const OF_THE_TESTS: Group =
    Group { file: "tests/requirements.txt", stamp: "stamp-tests", what: "the packages of the tests" };

/// Packages that are installed together, each pinned with its hashes.
struct Group {
    /// The file of pinned packages.
    file: &'static str,
    /// The file in `.venv` that is written after the installation.
    stamp: &'static str,
    /// What is fetched, for the developer.
    what: &'static str,
}

/// Installs the packages of the local stack into `.venv`, unless they are installed. Returns its `bin` directory.
///
/// A lock makes other starts wait while one start installs.
pub(crate) fn ensure(session: &Session, progress: fn(&str)) -> Result<PathBuf, Error> {
    let root = environment::root();
    let venv = root.join(".venv");
    let _lock = lock(&root, progress)?;
    if !OF_THE_STACK.is_installed(&root)? || !is_working(&venv) {
        progress("creating .venv");
        create(session, find_python()?, &venv)?;
        OF_THE_STACK.install(session, &root, progress)?;
    }
    Ok(venv.join("bin"))
}

/// Installs also the packages of the tests, unless they are installed. Returns the `bin` directory of `.venv`.
pub(crate) fn ensure_for_tests(session: &Session) -> Result<PathBuf, Error> {
    let bin = ensure(session, |_| ())?;
    let root = environment::root();
    let _lock = lock(&root, |_| ())?;
    if !OF_THE_TESTS.is_installed(&root)? {
        OF_THE_TESTS.install(session, &root, |_| ())?;
    }
    Ok(bin)
}

impl Group {
    /// Returns whether `.venv` holds exactly these packages. The stamp is written last, so after a killed
    /// installation the next start installs again.
    fn is_installed(&self, root: &Path) -> Result<bool, Error> {
        let expected = self.expected_stamp(root)?;
        Ok(fs::read_to_string(root.join(".venv").join(self.stamp)).is_ok_and(|found| found == expected))
    }

    fn expected_stamp(&self, root: &Path) -> Result<String, Error> {
        let path = root.join(self.file);
        let pinned = fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
        Ok(format!("{}\n{pinned}", root.display()))
    }

    fn install(&self, session: &Session, root: &Path, progress: fn(&str)) -> Result<(), Error> {
        progress(&format!("fetching {}, once", self.what));
        let venv = root.join(".venv");
        run_pip(session, &venv, &root.join(self.file), progress)?;
        let stamp = venv.join(self.stamp);
        fs::write(&stamp, self.expected_stamp(root)?).context(|| format!("write {}", stamp.display()))
    }
}

/// Whether the interpreter still runs. It is a link to the system's Python, and an upgrade of that
/// Python can break the link.
fn is_working(venv: &Path) -> bool {
    let output = Command::new(venv.join("bin/python")).args(["-c", "import ministack"]).output();
    output.is_ok_and(|output| output.status.success())
}

fn lock(root: &Path, progress: fn(&str)) -> Result<File, Error> {
    let path = root.join(".dev/venv.lock");
    let action = || format!("lock {}", path.display());
    fs::create_dir_all(root.join(".dev")).context(action)?;
    let file = File::create(&path).context(action)?;
    if file.try_lock().is_err() {
        progress("waiting for another start that installs .venv");
        file.lock().context(action)?;
    }
    Ok(file)
}

fn find_python() -> Result<&'static str, Error> {
    let mut found = "no Python was found".to_owned();
    for python in PYTHONS {
        let Ok(output) = Command::new(python).args(["-c", PROBE]).output() else {
            continue;
        };
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !is_new_enough(&version) {
            found = format!("`{python}` is version {version}");
        } else if output.status.success() {
            return Ok(python);
        } else {
            return Err(Error::VenvModule { python: python.to_owned() });
        }
    }
    Err(Error::Python { found })
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(3), Some(10))
}

fn create(session: &Session, python: &str, venv: &Path) -> Result<(), Error> {
    let mut command = Command::new(python);
    command.args(["-m", "venv", "--clear"]).arg(venv).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = session.spawn(&mut command)?;
    let status = child.wait().context(|| format!("wait for {python}"))?;
    if status.success() { Ok(()) } else { Err(Error::VenvModule { python: python.to_owned() }) }
}

/// Runs pip, and passes only its progress lines to `progress`. The file lists every package, so pip resolves nothing.
fn run_pip(session: &Session, venv: &Path, requirements: &Path, progress: fn(&str)) -> Result<(), Error> {
    let log = session.log("pip");
    let errors = File::create(&log).context(|| format!("write {}", log.display()))?;
    let mut command = Command::new(venv.join("bin/python"));
    command.args([
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar=off",
        "--no-deps",
        "--require-hashes",
        "-r",
    ]);
    command.arg(requirements).stdout(Stdio::piped()).stderr(errors);
    let mut pip = session.spawn(&mut command)?;
    let output = pip.stdout.take().map(BufReader::new);
    for line in output.into_iter().flat_map(BufReader::lines).map_while(Result::ok) {
        report(line.trim(), progress);
    }
    let status = pip.wait().context(|| "wait for pip".to_owned())?;
    if status.success() {
        return Ok(());
    }
    let reason = session::read_last_line(&log);
    Err(Error::Pip { requirements: requirements.to_path_buf(), reason })
}

/// Passes a line of pip to `progress` if it reports a large download or the final installation.
fn report(line: &str, progress: fn(&str)) {
    if let Some(file) = line.strip_prefix("Downloading ").filter(|rest| rest.contains(" MB")) {
        progress(&format!("fetching {file}"));
    } else if line.starts_with("Installing collected packages") {
        progress("installing");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the packages of a file.
    fn packages(group: &Group) -> Vec<String> {
        let text = fs::read_to_string(environment::root().join(group.file)).unwrap();
        let lines = text.lines().filter(|line| line.contains("==") && !line.starts_with('#'));
        lines.filter_map(|line| Some(line.split_once("==")?.0.to_owned())).collect()
    }

    #[test]
    fn a_start_fetches_neither_zig_nor_what_only_the_tests_need() {
        let (stack, tests) = (packages(&OF_THE_STACK), packages(&OF_THE_TESTS));
        assert!(stack.contains(&"cargo-lambda".to_owned()) && stack.contains(&"ministack".to_owned()));
        assert!(!stack.contains(&"ziglang".to_owned()), "472 MB, only to compile for another platform");
        for package in ["standardwebhooks", "cloudevents", "svix", "cryptography", "openapi-spec-validator"] {
            assert!(tests.iter().any(|name| name == package), "{package}");
            assert!(!stack.iter().any(|name| name == package), "{package}");
        }
    }

    #[test]
    fn python_3_10_and_later_are_new_enough() {
        for version in ["3.10", "3.14", "4.0"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["3.9", "2.7", "3", ""] {
            assert!(!is_new_enough(version), "{version}");
        }
    }
}
