//! The Python tools, pinned, in the project's own `.venv`: made once, found again by a stamp.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::environment;
use crate::error::{Doing as _, Error};
use crate::session::Session;

/// The interpreters tried, best guess first.
const PYTHONS: [&str; 7] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// Prints the version, and fails if a virtual environment cannot be made.
const PROBE: &str = "import sys; print('%d.%d' % sys.version_info[:2]); import venv, ensurepip";

/// Makes sure that `.venv` holds what `infra/dev/requirements.txt` pins, and returns its `bin`.
///
/// The stamp is written last, so a start that was killed half way begins anew; the lock lets one
/// of several starts do the work while the others wait.
pub(crate) fn ensure(session: &Session, progress: fn(&str)) -> Result<PathBuf, Error> {
    let root = environment::root();
    let venv = root.join(".venv");
    let requirements = root.join("infra/dev/requirements.txt");
    let stamp = venv.join("stamp");
    let wanted = fs::read_to_string(&requirements)
        .map(|pinned| format!("{}\n{pinned}", venv.display()))
        .doing(|| format!("read {}", requirements.display()))?;

    let _lock = lock(&root, progress)?;
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && works(&venv) {
        return Ok(venv.join("bin"));
    }
    progress("installing the emulator and cargo-lambda into .venv (once, about 140 MB)");
    let python = find_python()?;
    create(session, python, &venv)?;
    install(session, &venv, &requirements, progress)?;
    fs::write(&stamp, wanted).doing(|| format!("write {}", stamp.display()))?;
    Ok(venv.join("bin"))
}

/// Whether the interpreter is still there: it is a link to one that may have been upgraded away.
fn works(venv: &Path) -> bool {
    let answer = Command::new(venv.join("bin/python")).args(["-c", "import ministack"]).output();
    answer.is_ok_and(|answer| answer.status.success())
}

fn lock(root: &Path, progress: fn(&str)) -> Result<File, Error> {
    let path = root.join(".dev/venv.lock");
    let doing = || format!("lock {}", path.display());
    fs::create_dir_all(root.join(".dev")).doing(doing)?;
    let file = File::create(&path).doing(doing)?;
    if file.try_lock().is_err() {
        progress("waiting for another start to finish .venv");
        file.lock().doing(doing)?;
    }
    Ok(file)
}

fn find_python() -> Result<&'static str, Error> {
    let mut found = "none was found".to_owned();
    for python in PYTHONS {
        let Ok(answer) = Command::new(python).args(["-c", PROBE]).output() else {
            continue;
        };
        let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        if !is_new_enough(&version) {
            found = format!("{python} is {version}");
        } else if answer.status.success() {
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
    let status = child.wait().doing(|| format!("wait for {python}"))?;
    if status.success() { Ok(()) } else { Err(Error::VenvModule { python: python.to_owned() }) }
}

/// Runs pip; of its many lines the screen gets those that tell how far it is.
fn install(session: &Session, venv: &Path, requirements: &Path, progress: fn(&str)) -> Result<(), Error> {
    let log = session.log("pip");
    let errors = File::create(&log).doing(|| format!("write {}", log.display()))?;
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
        let line = line.trim();
        let large = line.starts_with("Downloading ") && line.contains(" MB");
        if large || line.starts_with("Installing collected packages") {
            progress(&format!("  {}", line.split(':').next().unwrap_or(line)));
        }
    }
    let status = pip.wait().doing(|| "wait for pip".to_owned())?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Pip { requirements: requirements.to_path_buf(), reason: crate::session::last_line(&log) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_3_10_and_later_will_do() {
        for version in ["3.10", "3.14", "4.0"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["3.9", "2.7", "3", ""] {
            assert!(!is_new_enough(version), "{version}");
        }
    }
}
