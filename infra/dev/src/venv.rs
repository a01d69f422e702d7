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

/// Installs the packages of `infra/dev/requirements.txt` into `.venv`, unless they are installed.
/// Returns its `bin` directory.
///
/// The stamp file is written last. If a start is killed before, the next start installs again.
/// A lock makes other starts wait while one start installs.
pub(crate) fn ensure(session: &Session, progress: fn(&str)) -> Result<PathBuf, Error> {
    let root = environment::root();
    let venv = root.join(".venv");
    let requirements = root.join("infra/dev/requirements.txt");
    let stamp = venv.join("stamp");
    let expected_stamp = fs::read_to_string(&requirements)
        .map(|pinned| format!("{}\n{pinned}", venv.display()))
        .context(|| format!("read {}", requirements.display()))?;

    let _lock = lock(&root, progress)?;
    if fs::read_to_string(&stamp).is_ok_and(|found| found == expected_stamp) && is_working(&venv) {
        return Ok(venv.join("bin"));
    }
    progress("installing the emulator and cargo-lambda into .venv (only once, about 140 MB)");
    let python = find_python()?;
    create(session, python, &venv)?;
    install(session, &venv, &requirements, progress)?;
    fs::write(&stamp, expected_stamp).context(|| format!("write {}", stamp.display()))?;
    Ok(venv.join("bin"))
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

/// Runs pip, and passes only its progress lines to `progress`.
fn install(session: &Session, venv: &Path, requirements: &Path, progress: fn(&str)) -> Result<(), Error> {
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
    let is_large_download = line.starts_with("Downloading ") && line.contains(" MB");
    if is_large_download || line.starts_with("Installing collected packages") {
        progress(&format!("  {}", line.split(':').next().unwrap_or(line)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
