//! Reloads edited code: builds it, and restarts the processes of changed binaries.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use crate::environment;
use crate::error::Error;
use crate::stack::Stack;
use crate::workspace;

/// The sources of the binaries, and the template.
const WATCHED: [&str; 7] = [
    "functions",
    "shared",
    "infra/openapi.json",
    "functions/api/console/dist",
    "functions/api/reference/dist",
    "Cargo.toml",
    "template.yaml",
];

/// The sources of pages for a browser: no binary has them. It has what is built of them, in `dist`.
const PAGES: [&str; 2] = ["functions/api/console", "functions/api/reference"];

/// The modification time of each file.
type Times = BTreeMap<PathBuf, SystemTime>;

/// The modification times at the last check.
#[derive(Debug)]
pub(crate) struct Reload {
    sources: Times,
    binaries: Times,
}

impl Reload {
    /// Records the current modification times.
    pub(crate) fn new(stack: &Stack) -> Self {
        let binaries = stack.binaries().values();
        Self { sources: read_sources(&environment::root()), binaries: read_times(binaries.cloned()) }
    }

    /// Checks for edited files and reloads changed code. `progress` gets a line for each step.
    ///
    /// If the code does not compile, the functions keep running unchanged.
    pub(crate) fn check(&mut self, stack: &Stack, progress: fn(&str)) {
        let sources = read_sources(&environment::root());
        let changed = find_differences(&self.sources, &sources);
        self.sources = sources;
        let (template, code): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|path| path.ends_with("template.yaml"));
        if !template.is_empty() {
            progress("template.yaml changed. To deploy it, press Ctrl-C and run `cargo dev` again");
        }
        if let Some(first) = code.first() {
            progress(&format!("{} changed: building", first.display()));
            progress(&match self.rebuild(stack) {
                Ok(result) => result,
                Err(Error::Build) => {
                    "the code does not compile. The functions keep running unchanged".to_owned()
                }
                Err(error) => error.to_string(),
            });
        }
    }

    /// Builds the workspace and restarts the functions whose binary changed.
    fn rebuild(&mut self, stack: &Stack) -> Result<String, Error> {
        let started_at = Instant::now();
        let binaries = workspace::build(stack.session())?;
        let times = read_times(binaries.values().cloned());
        let changed = find_differences(&self.binaries, &times);
        self.binaries = times;
        let restarted: Vec<&str> = binaries
            .iter()
            .filter(|(_, path)| changed.contains(path))
            .map(|(name, _)| name.as_str())
            .filter(|name| stack.functions().restart(name))
            .collect();
        Ok(match restarted.as_slice() {
            [] => "built: no function changed".to_owned(),
            names => format!("restarted {} ({:.1?})", names.join(", "), started_at.elapsed()),
        })
    }
}

/// Returns the modification times of all watched files. The paths are relative to `root`.
fn read_sources(root: &Path) -> Times {
    let mut files = Vec::new();
    let mut remaining: Vec<PathBuf> = WATCHED.iter().map(|name| root.join(name)).collect();
    while let Some(path) = remaining.pop() {
        match fs::read_dir(&path) {
            Ok(_) if PAGES.iter().any(|page| path.ends_with(page)) => {}
            Ok(entries) => remaining.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) => files.push(path),
        }
    }
    let make_relative = |path: PathBuf| path.strip_prefix(root).map(Path::to_path_buf).unwrap_or(path);
    read_times(files.into_iter()).into_iter().map(|(path, time)| (make_relative(path), time)).collect()
}

fn read_times(files: impl Iterator<Item = PathBuf>) -> Times {
    let read_time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    files.filter_map(|path| read_time(&path).map(|time| (path, time))).collect()
}

/// Returns the files that were changed, added or removed.
fn find_differences(before: &Times, now: &Times) -> Vec<PathBuf> {
    let changed = now.iter().filter(|(path, time)| before.get(*path) != Some(time));
    let removed = before.iter().filter(|(path, _)| !now.contains_key(*path));
    changed.chain(removed).map(|(path, _)| path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_added_and_removed_files_are_differences() {
        let times = |files: &[(&str, u64)]| -> Times {
            let at = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            files.iter().map(|(path, seconds)| (PathBuf::from(path), at(*seconds))).collect()
        };
        let before = times(&[("same", 1), ("changed", 1), ("removed", 1)]);
        let now = times(&[("same", 1), ("changed", 2), ("added", 1)]);
        assert_eq!(find_differences(&before, &now), ["added", "changed", "removed"].map(PathBuf::from));
    }

    #[test]
    fn the_sources_of_this_project_are_watched() {
        let sources = read_sources(&environment::root());
        assert!(sources.contains_key(Path::new("template.yaml")));
        assert!(sources.contains_key(Path::new("functions/ingest/src/main.rs")));
        for page in PAGES.map(Path::new) {
            assert!(sources.contains_key(&page.join("dist/index.html")));
            assert!(!sources.contains_key(&page.join("package.json")));
        }
    }
}
