//! Node.js and a browser, for the stories of the console. No other story needs them, and no build does.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use runtime::config;

use crate::tools::{self, output_of};

/// The variable that makes an absent Node.js or browser a failure, as in CI.
const REQUIRED: &str = "CONSOLE_STORIES";

/// The oldest major version that the build tools of the console support.
const OLDEST: u32 = 20;

/// The names of Chromium, of which one is enough. The variable `CHROMIUM` can name another one.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Returns whether Node.js and npm are there. If they are not, says in one line what does not run therefore, or fails in CI.
pub(crate) fn is_found(consequence: &str) -> bool {
    let version = Command::new("node").arg("--version").output();
    let version = version.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let major =
        version.as_deref().and_then(|text| text.trim().strip_prefix('v')?.split('.').next()?.parse().ok());
    let has_npm = Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success());
    let is_found = has_npm && major.is_some_and(|major: u32| major >= OLDEST);
    if !is_found {
        skip(&format!("there is no Node.js {OLDEST} with npm: {consequence}"));
    }
    is_found
}

/// Returns the path of a Chromium. If there is none, says in one line what does not run therefore, or fails in CI.
pub(crate) fn find_browser(consequence: &str) -> Option<PathBuf> {
    let named = config::required("CHROMIUM").ok().map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut candidates =
        env::split_paths(&path).flat_map(|folder| BROWSERS.map(move |name| folder.join(name)));
    let found = named.or_else(|| candidates.find(|candidate| candidate.is_file()));
    if found.is_none() {
        skip(&format!("there is no Chromium: {consequence}"));
    }
    found
}

fn skip(reason: &str) {
    tools::skip(REQUIRED, reason);
}

/// Installs exactly what the lock file of a folder names.
pub(crate) fn install(folder: &Path) {
    run(folder, &["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"], &[]);
}

/// Runs a command in a folder. Fails with its output if it fails.
#[track_caller]
pub(crate) fn run(folder: &Path, command: &[&str], variables: &[(&str, &str)]) {
    let [program, arguments @ ..] = command else { panic!("no command") };
    let mut process = Command::new(program);
    output_of(process.args(arguments).current_dir(folder).envs(variables.iter().copied()));
}

/// Copies the files of a folder that Git has to another folder, without what was installed or built there.
pub(crate) fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "node_modules" && name != "dist" {
            copy_sources(&path, &to.join(name));
        } else if path.is_file() {
            fs::copy(&path, to.join(name)).expect("a copy");
        }
    }
}
